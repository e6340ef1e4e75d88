//! nginx as the ingress: configured from an Ingress object, as an ingress controller does it.

use std::fmt::Write;
use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::admin::Admin;
use crate::support::http::{Response, read_response, split};
use crate::support::operator::eventually;
use crate::{kubectl, object};

/// A running nginx on a free port of loopback; it ends when this is dropped.
pub struct Nginx {
    process: Child,
    address: SocketAddr,
    _dir: TempDir,
}

impl Nginx {
    /// Starts one that serves an Ingress.
    pub fn start(admin: &Admin, namespace: &str, ingress: &str) -> Self {
        let dir = TempDir::with_prefix("webhook-nginx-").expect("a temporary directory");
        let address = free_address();
        let servers =
            servers(admin, &object(admin, namespace, &format!("ingress/{ingress}")), address);
        let path = dir.path().display();
        let config = format!(
            "pid {path}/pid; error_log {path}/error.log; daemon off; master_process off;
             events {{}}
             http {{
               access_log off;
               client_body_temp_path {path}/body; proxy_temp_path {path}/proxy;
               fastcgi_temp_path {path}/fastcgi; uwsgi_temp_path {path}/uwsgi; scgi_temp_path {path}/scgi;
               proxy_http_version 1.1; proxy_set_header Connection ''; proxy_set_header Host $host;
               server {{ listen {address} default_server; return 404; }}
               {servers}
             }}"
        );
        let file = dir.path().join("nginx.conf");
        fs::write(&file, config).expect("write the configuration");
        let process = Command::new("nginx")
            .args(["-e".as_ref(), dir.path().join("error.log").as_os_str()])
            .args(["-c".as_ref(), file.as_os_str()])
            .stdin(Stdio::null())
            .spawn()
            .expect("start nginx");
        let nginx = Self { process, address, _dir: dir };
        eventually("nginx to listen", || TcpStream::connect(address).ok().map(drop));
        nginx
    }

    /// Posts to a URL whose host's address is this nginx.
    pub fn post(&self, url: &str, body: &str) -> Response {
        let (host, path) = split(url);
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let mut stream = TcpStream::connect(self.address).expect("a connection to nginx");
        stream.write_all(format!("{head}{body}").as_bytes()).expect("a request to nginx");
        read_response(&mut stream).expect("an answer of nginx")
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_address() -> SocketAddr {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    taken.local_addr().expect("an address")
}

/// One server for each rule, one location for each path.
fn servers(admin: &Admin, ingress: &Value, address: SocketAddr) -> String {
    let mut servers = String::new();
    let namespace = ingress["metadata"]["namespace"].as_str().expect("a namespace");
    for rule in ingress["spec"]["rules"].as_array().expect("rules") {
        let host = rule["host"].as_str().expect("a host");
        let mut locations = String::new();
        for path in rule["http"]["paths"].as_array().expect("paths") {
            assert_eq!(path["pathType"], "Prefix", "{path}");
            let prefix = path["path"].as_str().expect("a path");
            let backend = backend(admin, namespace, &path["backend"]["service"]);
            write!(locations, "location ^~ {prefix} {{ proxy_pass http://{backend}; }}").unwrap();
        }
        write!(servers, "server {{ listen {address}; server_name {host}; {locations} }}").unwrap();
    }
    servers
}

/// Address and port of the Service that a path leads to.
fn backend(admin: &Admin, namespace: &str, service: &Value) -> String {
    let name = service["name"].as_str().expect("a name");
    let object = object(admin, namespace, &format!("service/{name}"));
    let ports = object["spec"]["ports"].as_array().expect("ports");
    let wanted = &service["port"];
    let is_wanted =
        |port: &&Value| port["name"] == wanted["name"] || port["port"] == wanted["number"];
    let port = ports.iter().find(is_wanted).expect("the Ingress's port")["port"].clone();
    let address =
        kubectl(admin, &["-n", namespace, "get", "service", name, "-o=jsonpath={.spec.clusterIP}"]);
    format!("{address}:{port}")
}
