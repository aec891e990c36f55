//! A network that can be cut: passes everything on between one client and the coordinator,
//! but cuts its first connection after so many bytes.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;

/// Where the first connection is cut.
#[derive(Clone, Copy)]
pub(crate) enum Cut {
    /// After so many bytes to the client.
    Down(u64),
    /// After so many bytes to the coordinator.
    Up(u64),
}

/// Starts a proxy to `coordinator`; returns its port. It runs until the tests end.
pub(crate) fn start(coordinator: SocketAddr, cut: Cut) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let mut limits = match cut {
            Cut::Down(bytes) => (u64::MAX, bytes),
            Cut::Up(bytes) => (bytes, u64::MAX),
        };
        for client in listener.incoming() {
            let client = client.unwrap();
            let server = TcpStream::connect(coordinator).unwrap();
            pass(&client, &server, limits.0);
            pass(&server, &client, limits.1);
            limits = (u64::MAX, u64::MAX);
        }
    });
    port
}

/// Passes bytes on until either side ends or the limit is reached; then ends both.
fn pass(from: &TcpStream, to: &TcpStream, limit: u64) {
    let (from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        let mut limited = (&from).take(limit);
        while let Ok(bytes @ 1..) = limited.read(&mut buffer) {
            if to.write_all(&buffer[..bytes]).is_err() {
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    });
}
