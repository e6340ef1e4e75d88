/* The program of a pod's sandbox: it holds the namespaces of the pod, and waits
 * for the processes that the containers of a shared process namespace leave. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void end(int signal) {
    (void)signal;
    _exit(0);
}

static void reap(int signal) {
    (void)signal;
    while (waitpid(-1, NULL, WNOHANG) > 0) {
    }
}

static void on(int signal, void (*handler)(int)) {
    struct sigaction action = {.sa_handler = handler};
    sigaction(signal, &action, NULL);
}

int main(void) {
    on(SIGINT, end);
    on(SIGTERM, end);
    on(SIGCHLD, reap);
    for (;;) {
        pause();
    }
}
