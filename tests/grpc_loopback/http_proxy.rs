//! A site behind an HTTP proxy: it asks for a tunnel, and speaks TLS through it from end to end.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use umbel_client::grpc::{GrpcTransport, ProxyChoice};
use umbel_client::transport::{Transport, TransportError};
use umbel_coordinator::init::InitReport;
use umbel_proto::message::Hello;

use crate::coordinator::{Coordinator, Script, certificates, dialling, hello, security};

/// What a proxy saw.
#[derive(Default)]
struct Seen {
    /// The head of each request, line by line.
    requests: Vec<Vec<String>>,
    /// What went through it, in either direction.
    bytes: Vec<u8>,
}

/// A proxy that makes tunnels to `coordinator`, whatever it is asked for, for whoever shows this
/// authorisation.
struct Proxy {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

impl Proxy {
    fn start(coordinator: SocketAddr, authorisation: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let noted = Arc::clone(&seen);
        thread::spawn(move || {
            for client in listener.incoming() {
                let noted = Arc::clone(&noted);
                thread::spawn(move || tunnel(client.unwrap(), coordinator, authorisation, &noted));
            }
        });
        Self { address, seen }
    }

    fn requests(&self) -> Vec<Vec<String>> {
        self.seen.lock().unwrap().requests.clone()
    }

    fn saw(&self, text: &str) -> bool {
        let seen = self.seen.lock().unwrap();
        seen.bytes
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    }
}

fn tunnel(
    client: TcpStream,
    coordinator: SocketAddr,
    authorisation: Option<&str>,
    seen: &Arc<Mutex<Seen>>,
) {
    let mut reader = BufReader::new(client.try_clone().unwrap());
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_owned()),
        }
    }
    let expected =
        authorisation.map(|basic| format!("proxy-authorization: {}", basic.to_lowercase()));
    let allowed =
        expected.is_none_or(|expected| head.iter().any(|line| line.to_lowercase() == expected));
    seen.lock().unwrap().requests.push(head);
    let answer = match allowed {
        true => "HTTP/1.1 200 Connection established\r\n\r\n",
        false => "HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n",
    };
    (&client).write_all(answer.as_bytes()).unwrap();
    if !allowed {
        return;
    }
    let server = TcpStream::connect(coordinator).unwrap();
    pass(
        client.try_clone().unwrap(),
        server.try_clone().unwrap(),
        seen,
    );
    pass(server, client, seen);
}

fn pass(mut from: TcpStream, mut to: TcpStream, seen: &Arc<Mutex<Seen>>) {
    let seen = Arc::clone(seen);
    thread::spawn(move || {
        let mut buffer = [0; 16 * 1024];
        while let Ok(bytes @ 1..) = from.read(&mut buffer) {
            seen.lock()
                .unwrap()
                .bytes
                .extend_from_slice(&buffer[..bytes]);
            if to.write_all(&buffer[..bytes]).is_err() {
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    });
}

/// The client `north`, which dials by way of `proxy`.
fn through(proxy: &str, coordinator: &Coordinator, report: &InitReport) -> GrpcTransport {
    let folder = &report.sites[0].folder;
    let mut settings = dialling(coordinator.address.port(), folder, folder);
    settings.proxy = proxy.parse().unwrap();
    settings.retry.patience = Duration::from_secs(5);
    GrpcTransport::connect(settings).unwrap()
}

#[test]
fn a_site_dials_through_a_proxy_which_sees_no_word_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let report = certificates(dir.path(), 0);
    let script = Arc::new(Script::default());
    let coordinator = Coordinator::start(&script, security(&report, &report));
    let proxy = Proxy::start(coordinator.address, None);
    let mut client = through(&format!("http://{}", proxy.address), &coordinator, &report);
    let told = Hello {
        software: "a word in the clear".into(),
        ..hello()
    };
    client.join(&told).unwrap();
    assert_eq!(script.calls().len(), 1);
    let requests = proxy.requests();
    let port = coordinator.address.port();
    assert_eq!(requests[0][0], format!("CONNECT localhost:{port} HTTP/1.1"));
    assert!(!proxy.saw("a word in the clear"));
}

#[test]
fn a_proxy_is_told_user_and_password() {
    let dir = tempfile::tempdir().unwrap();
    let report = certificates(dir.path(), 0);
    let coordinator = Coordinator::start(&Arc::default(), security(&report, &report));
    let proxy = Proxy::start(coordinator.address, Some("Basic c2l0ZTpwQHNz"));
    let address = format!("http://site:p%40ss@{}", proxy.address);
    through(&address, &coordinator, &report)
        .join(&hello())
        .unwrap();
}

#[test]
fn a_proxy_that_wants_another_password_ends_it_at_once_and_the_password_stays_unsaid() {
    let dir = tempfile::tempdir().unwrap();
    let report = certificates(dir.path(), 0);
    let script = Arc::new(Script::default());
    let coordinator = Coordinator::start(&script, security(&report, &report));
    let proxy = Proxy::start(coordinator.address, Some("Basic c2l0ZTpwQHNz"));
    let address = format!("http://site:secret@{}", proxy.address);
    let mut client = through(&address, &coordinator, &report);
    match client.join(&hello()).unwrap_err() {
        TransportError::Unreachable { reason, .. } => {
            assert!(reason.contains("wants a user and a password"), "{reason}");
            assert!(reason.contains(&proxy.address.to_string()), "{reason}");
            assert!(!reason.contains("secret"), "{reason}");
        }
        other => panic!("{other}"),
    }
    assert_eq!(proxy.requests().len(), 1, "another try can't help");
    assert_eq!(script.calls(), []);
}

#[test]
fn what_is_wrong_with_tls_is_found_out_through_the_proxy_too() {
    let dir = tempfile::tempdir().unwrap();
    let ours = certificates(&dir.path().join("ours"), 0);
    let expired = certificates(&dir.path().join("expired"), 400);
    let coordinator = Coordinator::start(&Arc::default(), security(&ours, &expired));
    let proxy = Proxy::start(coordinator.address, None);
    let (own, trusted) = (&expired.sites[0].folder, &ours.sites[0].folder);
    let mut settings = dialling(coordinator.address.port(), own, trusted);
    settings.proxy = ProxyChoice::Given(format!("http://{}", proxy.address));
    let mut client = GrpcTransport::connect(settings).unwrap();
    let reason = client.join(&hello()).unwrap_err().to_string();
    assert!(reason.contains("client.pem has expired"), "{reason}");
}
