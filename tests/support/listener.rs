//! An app's listener that records its calls and behaves as it is told.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::http::read_head;

/// One call that came.
#[derive(Clone, Debug)]
pub struct Call {
    /// Request line and headers.
    pub head: String,
    /// The body, as it came.
    pub body: Vec<u8>,
}

impl Call {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.split("\r\n").filter_map(|line| line.split_once(": "));
        lines.find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body in UTF-8")
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("a body in JSON")
    }
}

/// What the listener does with a call.
#[derive(Clone, Debug)]
pub enum Behaviour {
    /// Answers this status line and these headers, with an empty body.
    Answer(&'static str),
    /// Answers this status line and these headers, with this body.
    Reply(&'static str, &'static [u8]),
    /// Never answers.
    Hang,
    /// Breaks the connection.
    Reset,
    /// Answers 200 and sends so many bytes of body, or as many as are taken.
    Stream(usize),
    /// Answers, once it was told to through this.
    Wait(Arc<Mutex<Receiver<()>>>),
}

/// A listener on a free port. It lives as long as the test process.
pub struct Listener {
    /// Its URL.
    pub url: String,
    calls: Receiver<Call>,
    behaviour: Arc<Mutex<Behaviour>>,
}

impl Listener {
    /// Starts one that answers 200.
    pub fn start() -> Self {
        Self::start_at(Ipv4Addr::LOCALHOST.into())
    }

    /// Starts one that answers 200 at an address of this machine.
    pub fn start_at(ip: IpAddr) -> Self {
        let socket = TcpListener::bind((ip, 0)).unwrap();
        let url = format!("http://{}/", socket.local_addr().unwrap());
        let behaviour = Arc::new(Mutex::new(Behaviour::Answer("200 OK")));
        let (sender, calls) = channel();
        let told = behaviour.clone();
        thread::spawn(move || {
            for stream in socket.incoming().flatten() {
                let (told, sender) = (told.clone(), sender.clone());
                thread::spawn(move || serve(stream, &told, &sender));
            }
        });
        Self { url, calls, behaviour }
    }

    /// From the next call on, behaves so.
    pub fn behave(&self, behaviour: Behaviour) {
        *self.behaviour.lock().unwrap() = behaviour;
    }

    /// The next call; fails when none comes.
    pub fn call(&self) -> Call {
        self.calls.recv_timeout(Duration::from_secs(20)).expect("a call of the listener")
    }

    /// The next call, if one has come.
    pub fn try_call(&self) -> Option<Call> {
        self.calls.try_recv().ok()
    }

    /// Fails when a call came that no test asked for.
    pub fn expect_no_call(&self) {
        if let Some(call) = self.try_call() {
            panic!("a call came: {call:?}");
        }
    }
}

fn serve(mut stream: TcpStream, told: &Mutex<Behaviour>, calls: &Sender<Call>) -> Option<()> {
    loop {
        let call = read_call(&mut stream).ok()?;
        let behaviour = told.lock().unwrap().clone();
        calls.send(call).ok()?;
        behave(&mut stream, behaviour).ok()?;
    }
}

fn behave(stream: &mut TcpStream, behaviour: Behaviour) -> io::Result<()> {
    match behaviour {
        Behaviour::Answer(status) => {
            write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n")
        }
        Behaviour::Reply(head, body) => {
            write!(stream, "HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n", body.len())?;
            stream.write_all(body)
        }
        Behaviour::Hang => loop {
            // Until the operator closes.
            if stream.read(&mut [0; 64])? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        },
        Behaviour::Reset => Err(io::ErrorKind::ConnectionReset.into()),
        Behaviour::Stream(bytes) => {
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\n\r\n")?;
            let chunk = vec![b'x'; 64 * 1024];
            (0..bytes / chunk.len()).try_for_each(|_| stream.write_all(&chunk))
        }
        Behaviour::Wait(told) => {
            let _ = told.lock().unwrap().recv();
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        }
    }
}

fn read_call(stream: &mut TcpStream) -> io::Result<Call> {
    let (head, mut body) = read_head(stream)?;
    let mut call = Call { head, body: Vec::new() };
    let len = call.header("content-length").map_or(0, |len| len.parse().unwrap());
    let have = body.len();
    body.resize(len, 0);
    stream.read_exact(&mut body[have..])?;
    call.body = body;
    Ok(call)
}
