//! A PostgreSQL server of the tests: made for this process, and ended with it.
//!
//! Its files are in memory where the machine allows it. So its syncs cost nothing, and it need not be told to do without
//! them, which the program under test refuses.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

/// What a server says on its log when it can be used.
const READY: &str = "database system is ready to accept connections";

/// Runs the server until it is told to stop it, or until the test is gone, which held the other end of its input: then
/// nobody else removes the files.
const KEEPER: &str = r#"
exec 3<&0
rm -f "$2/word"
"$1" -D "$2/data" -k "$2" -p "$3" & server=$!
{ read -r word <&3; echo "$word" >"$2/word"; kill -QUIT "$server"; } 2>/dev/null & watcher=$!
wait "$server"
kill "$watcher" 2>/dev/null
[ "$(cat "$2/word" 2>/dev/null)" = stop ] || rm -rf "$2"
"#;

/// A server with a folder of its own. Its superuser is `tests`, without a password.
pub struct Server {
    folder: TempDir,
    port: u16,
    user: Option<User>,
    running: Option<Running>,
    databases: AtomicU32,
}

struct Running {
    keeper: Child,
    input: ChildStdin,
}

/// Whom the server runs as when the tests run as root, which it refuses.
#[derive(Clone, Copy)]
struct User {
    uid: u32,
    gid: u32,
}

/// The server that the tests of this process share.
pub fn shared() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(|| Server::start(&[]))
}

impl Server {
    /// Makes and starts a server with these lines in its configuration.
    ///
    /// # Panics
    /// If PostgreSQL is not installed.
    pub fn start(configuration: &[&str]) -> Self {
        Self::start_with(configuration, &[])
    }

    /// The same, with these files in its folder of data, which only it can read.
    pub fn start_with(configuration: &[&str], files: &[(&str, &str)]) -> Self {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let folder = tempfile::Builder::new().prefix("pg-").tempdir_in(parent).unwrap();
        let user = user();
        if let Some(User { uid, gid }) = user {
            chown(folder.path(), Some(uid), Some(gid)).unwrap();
        }
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let databases = AtomicU32::new(0);
        let mut server = Self { folder, port, user, running: None, databases };
        server.init(configuration);
        for (name, content) in files {
            server.write(name, content);
        }
        server.resume();
        server
    }

    fn init(&self, configuration: &[&str]) {
        let data = self.folder.path().join("data");
        let mut init = Command::new(binary("initdb"));
        init.args(["--no-sync", "--auth=trust", "--username=tests", "--encoding=UTF8"])
            .args(["--locale=C", "--pgdata"])
            .arg(&data);
        let output = self.own(&mut init).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut lines = fs::read_to_string(data.join("postgresql.conf")).unwrap();
        lines += "listen_addresses = '127.0.0.1'\nmax_connections = 300\nshared_buffers = 32MB\n";
        lines += &configuration.join("\n");
        lines.push('\n');
        fs::write(data.join("postgresql.conf"), lines).unwrap();
    }

    fn write(&self, name: &str, content: &str) {
        let path = self.folder.path().join("data").join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        if let Some(User { uid, gid }) = self.user {
            chown(&path, Some(uid), Some(gid)).unwrap();
        }
    }

    fn own<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.current_dir(self.folder.path());
        if let Some(User { uid, gid }) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Starts the server again after [`Self::stop`]. Returns when it can be used.
    pub fn resume(&mut self) {
        let mut keeper = Command::new("sh");
        keeper
            .args(["-c", KEEPER, "sh"])
            .arg(binary("postgres"))
            .arg(self.folder.path())
            .arg(self.port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0);
        let mut keeper = self.own(&mut keeper).spawn().unwrap();
        let mut log = BufReader::new(keeper.stderr.take().unwrap()).lines().map_while(Result::ok);
        let mut said = Vec::new();
        while let Some(line) = log.next() {
            let is_ready = line.contains(READY);
            said.push(line);
            if is_ready {
                // Its log must not fill the pipe.
                std::thread::spawn(move || log.for_each(drop));
                let input = keeper.stdin.take().unwrap();
                self.running = Some(Running { keeper, input });
                return;
            }
        }
        let ended = keeper.wait();
        panic!("PostgreSQL ended at its start: {ended:?}\n{}", said.join("\n"));
    }

    /// Ends the server at once, as a crash does.
    pub fn stop(&mut self) {
        if let Some(Running { mut keeper, mut input }) = self.running.take() {
            input.write_all(b"stop\n").unwrap();
            keeper.wait().unwrap();
        }
    }

    /// A new, empty database. Returns its URL.
    pub async fn database(&self) -> String {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{number}");
        let client = self.client("postgres").await;
        client.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
        self.url(&name)
    }

    /// The URL of a database, for the superuser.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://tests@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its folder, with the data in `data`.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A connection of the superuser.
    pub async fn client(&self, database: &str) -> Client {
        client(&self.url(database)).await
    }
}

/// A connection to a database.
pub async fn client(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Whom the server runs as: Debian's package makes a user of its own for it.
fn user() -> Option<User> {
    let me = fs::metadata("/proc/self").unwrap();
    if std::os::unix::fs::MetadataExt::uid(&me) != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let named = |name: &str| {
        let mut fields = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let fields = fields.find(|fields| fields[0] == name)?;
        Some(User { uid: fields[2].parse().ok()?, gid: fields[3].parse().ok()? })
    };
    Some(named("postgres").or_else(|| named("nobody")).expect("root cannot run PostgreSQL"))
}

/// A program of PostgreSQL: the newest version of Debian's packages, or the one in the path.
fn binary(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|version| {
            let number = version.file_name().to_str()?.parse().ok()?;
            Some((number, version.path().join("bin").join(name)))
        })
        .filter(|(_, path)| path.exists())
        .collect();
    found.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = || std::env::split_paths(&path).map(|dir| dir.join(name)).find(|p| p.exists());
    found.pop().map(|(_, path)| path).or_else(in_path).unwrap_or_else(|| {
        panic!("{name} is not installed: run hack/install-debian-packages.sh postgresql")
    })
}
