//! Prints on a separate thread, so that a slow reader of stdout does not block calls.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

/// Capacity of the output queue; texts beyond it are counted and dropped.
const WAITING: usize = 256;

/// Sends texts to the printing thread.
#[derive(Clone, Debug)]
pub struct Printer {
    messages: SyncSender<Message>,
    missed: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Message {
    Print(String),
    /// Answered when all earlier texts are written.
    Flush(oneshot::Sender<()>),
}

impl Printer {
    /// A printer to stdout.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn stdout() -> io::Result<Self> {
        Self::to(io::stdout())
    }

    fn to(out: impl Write + Send + 'static) -> io::Result<Self> {
        let (messages, received) = sync_channel(WAITING);
        let missed = Arc::new(AtomicU64::new(0));
        let printer = Self { messages, missed: missed.clone() };
        thread::Builder::new()
            .name("printer".into())
            .spawn(move || write_all(&received, &missed, out))?;
        Ok(printer)
    }

    /// Prints a text, or counts it if the queue is full. Never blocks.
    pub fn print(&self, text: String) {
        if self.messages.try_send(Message::Print(text)).is_err() {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until all texts are printed, but no longer than `at_most`.
    pub async fn finish(&self, at_most: Duration) {
        let (done, finished) = oneshot::channel();
        if self.messages.try_send(Message::Flush(done)).is_ok() {
            drop(timeout(at_most, finished).await);
        }
    }
}

fn write_all(received: &Receiver<Message>, missed: &AtomicU64, mut out: impl Write) {
    for message in received {
        match message {
            Message::Print(text) => {
                let missed = missed.swap(0, Ordering::Relaxed);
                let note = match missed {
                    0 => String::new(),
                    _ => format!("({missed} calls are not shown: the output was too slow)\n"),
                };
                // Write errors are ignored: calls are answered even if stdout is closed.
                drop(write!(out, "{note}{text}").and_then(|()| out.flush()));
            }
            Message::Flush(done) => drop(done.send(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::channel;

    use super::*;

    const LONG: Duration = Duration::from_secs(10);

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Fails as a pipe does whose reader is gone.
    struct Gone;

    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }

    /// Waits for each write until it is told to go on, as a full pipe does.
    struct Stuck(Receiver<()>, Shared);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            self.1.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn everything_is_printed_in_order_before_it_finishes() {
        let out = Shared::default();
        let printer = Printer::to(out.clone()).unwrap();
        (0..5).for_each(|n| printer.print(n.to_string()));
        printer.finish(LONG).await;
        assert_eq!(*out.0.lock().unwrap(), b"01234");
    }

    #[tokio::test]
    async fn a_reader_that_is_gone_stops_nothing() {
        let printer = Printer::to(Gone).unwrap();
        for _ in 0..3 {
            printer.print("text".into());
            printer.finish(LONG).await;
        }
        assert_eq!(printer.missed.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn a_reader_that_does_not_read_holds_up_nothing_and_is_told_what_it_missed() {
        let out = Shared::default();
        let (go_on, wait) = channel();
        let printer = Printer::to(Stuck(wait, out.clone())).unwrap();
        (0..WAITING * 2).for_each(|_| printer.print("text\n".into()));
        printer.finish(Duration::from_millis(1)).await;
        drop(go_on);
        // What waits is printed; then there is room again.
        while printer.messages.try_send(Message::Print(String::new())).is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        printer.finish(LONG).await;
        printer.print("last\n".into());
        printer.finish(LONG).await;
        let out = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
        assert!(out.contains("calls are not shown"), "{out}");
        assert!(out.ends_with("last\n"));
    }
}
