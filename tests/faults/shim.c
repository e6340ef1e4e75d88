/* Stands between a program and its disk (LD_PRELOAD), and lets the disk fail as it is told.
 *
 * FAULTS_DIR names the folder whose files are meant (no "-shm" files: they are memory). FAULTS_PLAN names
 * a file of one line, "FAULT N SEED", that is looked at before each operation; a new line begins anew to count:
 *
 *   none                 nothing fails
 *   eio-sync N SEED      the Nth sync fails once, and loses some of what it was to keep
 *   eio-write N          the Nth write fails once
 *   eio-read N           the Nth read and all after it fail
 *   short N              from the Nth on, each second read and write does half of what it was asked for
 *   enospc N             files may grow by N bytes in all
 *   clock N              the time of day is N seconds later than it is, or earlier
 *   power-loss N SEED    at the Nth change of a file or folder, some of what was not synced is undone, whole
 *                        or in part, and the process is killed
 *
 * What was not synced is known: writes and truncations of files until a sync of the file, names of files
 * and folders until a sync of the folder that they are in. A sync is nothing more than that: the process is
 * killed, not the machine. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAX_FD 4096
#define SECTOR 512

enum fault { NONE, EIO_SYNC, EIO_WRITE, EIO_READ, SHORT, ENOSPC_AFTER, CLOCK, POWER_LOSS };
static const char *const FAULTS[] = {"none", "eio-sync", "eio-write", "eio-read",
                                     "short", "enospc", "clock", "power-loss"};

/* What one operation did to a file. A truncation has no bytes after it. */
struct change {
    struct change *older, *newer;
    off_t offset, size_before, size_after;
    size_t length, length_before;
    char *before, *after;
};

/* A file, however often it is open. */
struct file {
    struct file *next;
    dev_t device;
    ino_t inode;
    int fd; /* never closed: that would end the process's locks of the file */
    struct change *oldest, *newest;
};

/* A file or folder that was made, and whose name was not synced. */
struct name {
    struct name *next;
    char path[PATH_MAX];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char root[PATH_MAX];
static struct file *files;
static struct name *names;
static struct file *file_of[MAX_FD];
static char *folder_of[MAX_FD];

static char plan[128];
static enum fault fault;
static unsigned long nth, count, grown;
static uint64_t chance;

#define REAL(function) ((__typeof__(&function))real(#function))

static void *real(const char *symbol) {
    void *found = dlsym(RTLD_NEXT, symbol);
    if (!found) abort();
    return found;
}

static __thread int within; /* what this file itself does is not meant */

static void begin(void) {
    pthread_mutex_lock(&lock);
    within = 1;
}

static void end(void) {
    int error = errno;
    within = 0;
    pthread_mutex_unlock(&lock);
    errno = error;
}

__attribute__((constructor)) static void start(void) {
    const char *dir = getenv("FAULTS_DIR");
    if (dir) snprintf(root, sizeof root, "%s", dir);
}

/* ---- the plan ---- */

static uint64_t draw(uint64_t below) { /* xorshift64*, seeded by the plan */
    chance ^= chance >> 12, chance ^= chance << 25, chance ^= chance >> 27;
    return (chance * 2685821657736338717ULL >> 33) % below;
}

static void look_at_plan(void) {
    char line[sizeof plan] = {0}, word[32] = "none";
    const char *path = getenv("FAULTS_PLAN");
    int fd = path ? REAL(open)(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) return;
    ssize_t got = REAL(read)(fd, line, sizeof line - 1);
    REAL(close)(fd);
    if (got <= 0 || !strcmp(line, plan)) return;
    memcpy(plan, line, sizeof plan);
    unsigned long seed = 1;
    nth = 1, count = 0, grown = 0, fault = NONE;
    sscanf(line, "%31s %lu %lu", word, &nth, &seed);
    chance = (seed + 1) * 0x9e3779b97f4a7c15ULL;
    for (unsigned i = 0; i < sizeof FAULTS / sizeof *FAULTS; i++)
        if (!strcmp(word, FAULTS[i])) fault = i;
}

/* Whether this is the operation that the plan means. */
static int due(enum fault kind) {
    return fault == kind && ++count == nth;
}

static void say(const char *what) {
    dprintf(STDERR_FILENO, "faults: %s (%.*s)\n", what, (int)strcspn(plan, "\n"), plan);
}

/* ---- what was not synced ---- */

static off_t size_of(int fd) {
    struct stat status;
    return fstat(fd, &status) ? 0 : status.st_size;
}

static void forget(struct file *file) {
    for (struct change *change = file->oldest, *next; change; change = next) {
        next = change->newer;
        free(change->before), free(change->after), free(change);
    }
    file->oldest = file->newest = NULL;
}

/* Notes what is about to be changed. `bytes` is NULL for a truncation to `offset`. */
static void note(struct file *file, off_t offset, const void *bytes, size_t length) {
    struct change *change = calloc(1, sizeof *change);
    off_t size = size_of(file->fd);
    off_t to = bytes ? offset + (off_t)length : size;
    change->offset = offset, change->length = length, change->size_before = size;
    change->size_after = bytes ? (to > size ? to : size) : offset;
    if (to > size) to = size;
    if (to > offset) {
        change->before = malloc(to - offset);
        ssize_t got = REAL(pread)(file->fd, change->before, to - offset, offset);
        change->length_before = got > 0 ? got : 0;
    }
    if (bytes && length) change->after = memcpy(malloc(length), bytes, length);
    change->older = file->newest;
    if (file->newest) file->newest->newer = change;
    else file->oldest = change;
    file->newest = change;
}

static void put(int fd, const char *bytes, size_t length, off_t offset) {
    for (size_t done = 0; done < length;) {
        ssize_t wrote = REAL(pwrite)(fd, bytes + done, length - done, offset + done);
        if (wrote <= 0) return;
        done += wrote;
    }
}

static void undo(struct file *file) {
    for (struct change *change = file->newest; change; change = change->older) {
        if (REAL(ftruncate)(file->fd, change->size_before)) return;
        put(file->fd, change->before, change->length_before, change->offset);
    }
}

/* A write that reached the disk in part: each sector did or did not. */
static void redo_in_part(struct file *file, struct change *change) {
    for (size_t done = 0; done < change->length;) {
        off_t at = change->offset + done;
        size_t piece = SECTOR - at % SECTOR;
        if (piece > change->length - done) piece = change->length - done;
        if (draw(2)) put(file->fd, change->after + done, piece, at);
        done += piece;
    }
}

static void redo_some(struct file *file) {
    for (struct change *change = file->oldest; change; change = change->newer) {
        uint64_t fate = draw(4);
        if (fate == 0) continue;
        if (!change->after) {
            if (REAL(ftruncate)(file->fd, change->size_after)) return;
        } else if (fate == 1) {
            redo_in_part(file, change);
        } else {
            put(file->fd, change->after, change->length, change->offset);
        }
    }
}

/* Of four times once all that was not synced is lost, and once nothing is. */
static void lose_some(struct file *file, uint64_t luck) {
    if (luck == 0) return;
    undo(file);
    if (luck > 1) redo_some(file);
}

static void remove_all(const char *path) {
    DIR *folder = opendir(path);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        char inner[2 * PATH_MAX];
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
        remove_all(inner);
    }
    if (folder) closedir(folder);
    remove(path);
}

static void remove_shared_memory(void) {
    DIR *folder = opendir(root);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        size_t length = strlen(entry->d_name);
        char path[2 * PATH_MAX];
        if (length < 4 || strcmp(entry->d_name + length - 4, "-shm")) continue;
        snprintf(path, sizeof path, "%s/%s", root, entry->d_name);
        REAL(unlink)(path);
    }
}

static void lose_power(void) {
    uint64_t luck = draw(4);
    say("power loss");
    for (struct file *file = files; file; file = file->next) lose_some(file, luck);
    for (struct name *name = names; name; name = name->next)
        if (luck == 1 || (luck > 1 && draw(2))) remove_all(name->path);
    remove_shared_memory();
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

/* ---- which files are meant ---- */

static int is_root_or_parent(const char *path) {
    size_t length = strlen(path);
    return !strncmp(root, path, length)
        && (root[length] == 0 || (root[length] == '/' && !strchr(root + length + 1, '/')));
}

static int is_meant(const char *path) {
    size_t length = strlen(path), prefix = strlen(root);
    return prefix && !strncmp(path, root, prefix) && path[prefix] == '/'
        && (length < 4 || strcmp(path + length - 4, "-shm"));
}

static void made(const char *path) {
    struct name *name = calloc(1, sizeof *name);
    snprintf(name->path, sizeof name->path, "%s", path);
    name->next = names, names = name;
}

static void names_synced(const char *folder) {
    for (struct name **at = &names; *at;) {
        struct name *name = *at;
        size_t length = strrchr(name->path, '/') - name->path;
        if (strlen(folder) == length && !strncmp(name->path, folder, length)) {
            *at = name->next;
            free(name);
        } else {
            at = &name->next;
        }
    }
}

static struct file *file_at(const char *path, const struct stat *status) {
    for (struct file *file = files; file; file = file->next)
        if (file->device == status->st_dev && file->inode == status->st_ino) return file;
    struct file *file = calloc(1, sizeof *file);
    file->device = status->st_dev, file->inode = status->st_ino;
    file->fd = REAL(open)(path, O_RDWR | O_CLOEXEC);
    file->next = files, files = file;
    return file;
}

static void opened(int fd, int is_new) {
    char link[64], path[PATH_MAX] = {0};
    struct stat status;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (fd >= MAX_FD || readlink(link, path, sizeof path - 1) < 0 || fstat(fd, &status)) return;
    if (S_ISDIR(status.st_mode) && (is_root_or_parent(path) || is_meant(path))) {
        folder_of[fd] = strdup(path);
    } else if (S_ISREG(status.st_mode) && is_meant(path)) {
        file_of[fd] = file_at(path, &status);
        if (is_new) made(path);
    }
}

static struct file *meant(int fd) {
    return !within && fd >= 0 && fd < MAX_FD ? file_of[fd] : NULL;
}

/* ---- the operations ---- */

static int open_with(int dir, const char *path, int flags, mode_t mode) {
    if (within || !*root) return REAL(openat)(dir, path, flags, mode);
    begin();
    int is_new = flags & O_CREAT && faccessat(dir, path, F_OK, 0);
    int fd = REAL(openat)(dir, path, flags, mode);
    if (fd >= 0) opened(fd, is_new);
    end();
    return fd;
}

#define OPEN(name)                                             \
    int name(const char *path, int flags, ...) {               \
        va_list rest;                                          \
        va_start(rest, flags);                                 \
        mode_t mode = va_arg(rest, mode_t);                    \
        va_end(rest);                                          \
        return open_with(AT_FDCWD, path, flags, mode);         \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                           \
    int name(int dir, const char *path, int flags, ...) {      \
        va_list rest;                                          \
        va_start(rest, flags);                                 \
        mode_t mode = va_arg(rest, mode_t);                    \
        va_end(rest);                                          \
        return open_with(dir, path, flags, mode);              \
    }
OPENAT(openat)
OPENAT(openat64)

int close(int fd) {
    if (!within && fd >= 0 && fd < MAX_FD && (file_of[fd] || folder_of[fd])) {
        begin();
        free(folder_of[fd]);
        file_of[fd] = NULL, folder_of[fd] = NULL;
        end();
    }
    return REAL(close)(fd);
}

int mkdir(const char *path, mode_t mode) {
    int result = REAL(mkdir)(path, mode);
    char whole[PATH_MAX];
    if (result || within || !*root) return result;
    begin();
    look_at_plan();
    if (realpath(path, whole) && (!strcmp(whole, root) || is_meant(whole))) {
        made(whole);
        if (due(POWER_LOSS)) lose_power();
    }
    end();
    return result;
}

int unlink(const char *path) {
    char whole[PATH_MAX];
    struct stat status;
    if (within || !*root || !realpath(path, whole) || !is_meant(whole) || stat(whole, &status))
        return REAL(unlink)(path);
    begin();
    look_at_plan();
    if (due(POWER_LOSS)) lose_power();
    forget(file_at(whole, &status));
    int result = REAL(unlink)(path);
    end();
    return result;
}

static ssize_t write_at(struct file *file, const void *bytes, size_t length, off_t offset) {
    off_t growth = offset + (off_t)length - size_of(file->fd);
    look_at_plan();
    if (due(EIO_WRITE)) {
        say("a write fails");
        return errno = EIO, -1;
    }
    if (fault == SHORT && ++count >= nth && count % 2 && length > 1) length /= 2;
    if (fault == ENOSPC_AFTER && growth > 0 && (grown += growth) > nth) {
        grown -= growth;
        return errno = ENOSPC, -1;
    }
    note(file, offset, bytes, length);
    ssize_t wrote = REAL(pwrite)(file->fd, bytes, length, offset);
    if (due(POWER_LOSS)) lose_power();
    return wrote;
}

ssize_t write(int fd, const void *bytes, size_t length) {
    struct file *file = meant(fd);
    if (!file) return REAL(write)(fd, bytes, length);
    begin();
    off_t offset = fcntl(fd, F_GETFL) & O_APPEND ? size_of(fd) : lseek(fd, 0, SEEK_CUR);
    ssize_t wrote = write_at(file, bytes, length, offset);
    if (wrote > 0) lseek(fd, offset + wrote, SEEK_SET);
    end();
    return wrote;
}

#define PWRITE(name)                                                              \
    ssize_t name(int fd, const void *bytes, size_t length, off_t offset) {        \
        struct file *file = meant(fd);                                            \
        if (!file) return REAL(name)(fd, bytes, length, offset);                  \
        begin();                                                                  \
        ssize_t wrote = write_at(file, bytes, length, offset);                    \
        end();                                                                    \
        return wrote;                                                             \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

/* How much may be read; less than nothing when nothing may. */
static ssize_t readable(size_t length) {
    begin();
    look_at_plan();
    ssize_t may = length;
    if (fault == EIO_READ && ++count >= nth) {
        if (count == nth) say("reads fail");
        may = -1;
    } else if (fault == SHORT && ++count >= nth && count % 2 && length > 1) {
        may = length / 2;
    }
    end();
    if (may < 0) errno = EIO;
    return may;
}

ssize_t read(int fd, void *bytes, size_t length) {
    ssize_t may = meant(fd) ? readable(length) : (ssize_t)length;
    return may < 0 ? -1 : REAL(read)(fd, bytes, may);
}

#define PREAD(name)                                                              \
    ssize_t name(int fd, void *bytes, size_t length, off_t offset) {             \
        ssize_t may = meant(fd) ? readable(length) : (ssize_t)length;            \
        return may < 0 ? -1 : REAL(name)(fd, bytes, may, offset);                \
    }
PREAD(pread)
PREAD(pread64)

static void shrunk(off_t by) {
    if (by > 0) grown -= by < (off_t)grown ? (unsigned long)by : grown;
}

#define FTRUNCATE(name)                                        \
    int name(int fd, off_t length) {                           \
        struct file *file = meant(fd);                         \
        if (!file) return REAL(name)(fd, length);              \
        begin();                                               \
        look_at_plan();                                        \
        note(file, length, NULL, 0);                           \
        shrunk(size_of(fd) - length);                          \
        int result = REAL(name)(fd, length);                   \
        if (due(POWER_LOSS)) lose_power();                     \
        end();                                                 \
        return result;                                         \
    }
FTRUNCATE(ftruncate)
FTRUNCATE(ftruncate64)

static int sync_file(struct file *file) {
    look_at_plan();
    if (due(EIO_SYNC)) {
        say("a sync fails");
        lose_some(file, draw(4));
        forget(file);
        return errno = EIO, -1;
    }
    if (due(POWER_LOSS)) lose_power();
    forget(file);
    return 0;
}

static int sync_folder(int fd) {
    look_at_plan();
    if (due(POWER_LOSS)) lose_power();
    names_synced(folder_of[fd]);
    return 0;
}

#define SYNC(name)                                                          \
    int name(int fd) {                                                      \
        struct file *file = meant(fd);                                      \
        int is_folder = !within && fd >= 0 && fd < MAX_FD && folder_of[fd]; \
        if (!file && !is_folder) return REAL(name)(fd);                     \
        begin();                                                            \
        int result = file ? sync_file(file) : sync_folder(fd);              \
        end();                                                              \
        return result;                                                      \
    }
SYNC(fsync)
SYNC(fdatasync)

/* ---- the time of day ---- */

int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = REAL(clock_gettime)(clock, time);
    if (result || within || clock != CLOCK_REALTIME) return result;
    begin();
    look_at_plan();
    if (fault == CLOCK) time->tv_sec += (long)nth;
    end();
    return result;
}
