//! A real Kubernetes with one node that runs pods, for the tests; needs root.

use std::net::{IpAddr, UdpSocket};
use std::ops::Deref;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use super::admin::Admin;
use super::process::Process;

/// A start takes about 10 s; the rest is for a machine on which another node has to end first.
const START_DEADLINE: Duration = Duration::from_secs(300);

/// A cluster of one node, which ends when this is dropped and leaves nothing behind.
///
/// Pods and Services are reached from this machine by their addresses. Names of Services are
/// resolved in pods alone, and no other names are. Images are those that it was started with.
/// There is one node on a machine at a time: another start waits. It derefs to its administrator.
pub struct Node {
    /// Before `dir`, for the drop: the process writes there until it has ended.
    process: Process,
    admin: Admin,
    dir: TempDir,
}

impl Node {
    /// Starts an empty cluster with the images of a folder of archives (`*.tar`) and returns when
    /// pods can run.
    ///
    /// # Panics
    ///
    /// When the binary is not built, without root, and when the node does not get ready.
    pub fn start(images: &Path) -> Self {
        let dir = TempDir::with_prefix("webhook-node-").expect("a temporary directory");
        let images = images.to_str().expect("a path in UTF-8");
        let (process, server) =
            Process::start(&["node", "--images", images], dir.path(), START_DEADLINE);
        Self { process, admin: Admin::new(dir.path(), server), dir }
    }

    /// The node's address, as pods and this machine see it; the ports of `NodePort` Services are
    /// open there.
    pub fn ip(&self) -> IpAddr {
        let (_, host) = self.server().rsplit_once('/').expect("a URL");
        let (ip, _) = host.rsplit_once(':').expect("a port in the URL");
        ip.parse().expect("an IP address")
    }

    /// This machine's address, as pods see it.
    pub fn host_ip(&self) -> IpAddr {
        // No packet is sent: it only asks the kernel for the way.
        let socket = UdpSocket::bind("0.0.0.0:0").expect("a UDP socket");
        socket.connect((self.ip(), 9)).expect("a route to the node");
        socket.local_addr().expect("an address").ip()
    }

    /// The log of one of the node's programs, such as `kubelet`.
    pub fn log_of(&self, program: &str) -> String {
        let path = self.dir.path().join(format!("logs/{program}.log"));
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Ends it with SIGKILL.
    pub fn kill(self) {
        self.process.kill();
    }
}

impl Deref for Node {
    type Target = Admin;

    fn deref(&self) -> &Admin {
        &self.admin
    }
}
