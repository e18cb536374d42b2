//! A small balancer of TCP connections: each goes to the next node that is ready, and no client comes to
//! the same node twice in a row.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::http::Client;

/// From one look at all nodes to the next.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);
/// How long a node may take to say that it is ready.
const LOOK_PATIENCE: Duration = Duration::from_secs(1);

/// The balancer, for as long as its process runs.
#[derive(Debug, Clone)]
pub struct Balancer {
    address: SocketAddr,
    ready: Arc<Mutex<Vec<SocketAddr>>>,
    next: Arc<AtomicUsize>,
}

impl Balancer {
    /// Balances over these nodes, once they are ready.
    ///
    /// # Errors
    /// When it cannot listen there.
    pub fn start(address: SocketAddr, nodes: &[SocketAddr]) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let balancer = Self {
            address: listener.local_addr()?,
            ready: Arc::default(),
            next: Arc::default(),
        };
        for &node in nodes {
            let balancer = balancer.clone();
            thread::spawn(move || balancer.watch(node));
        }
        let accepting = balancer.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let balancer = accepting.clone();
                thread::spawn(move || balancer.serve(&client));
            }
        });
        Ok(balancer)
    }

    /// Where clients reach it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Nodes that are ready.
    pub fn ready(&self) -> Vec<SocketAddr> {
        self.lock().clone()
    }

    fn watch(&self, node: SocketAddr) {
        let client = Client::of(node, LOOK_PATIENCE);
        loop {
            let answer = client.try_get("/readyz");
            let is_ready = answer.is_ok_and(|answer| answer.status == 200);
            let mut ready = self.lock();
            match (ready.iter().position(|one| *one == node), is_ready) {
                (None, true) => ready.push(node),
                (Some(at), false) => drop(ready.remove(at)),
                (None, false) | (Some(_), true) => {}
            }
            drop(ready);
            thread::sleep(LOOK_INTERVAL);
        }
    }

    fn serve(&self, client: &TcpStream) {
        let nodes = self.ready();
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        // One that has gone since the last look is passed over.
        let node = (0..nodes.len())
            .find_map(|at| TcpStream::connect(nodes[(first + at) % nodes.len()]).ok());
        let Some(node) = node else {
            return;
        };
        let _ = (client.set_nodelay(true), node.set_nodelay(true));
        thread::scope(|scope| {
            scope.spawn(|| carry(client, &node));
            carry(&node, client);
        });
    }

    fn lock(&self) -> MutexGuard<'_, Vec<SocketAddr>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn carry(mut from: &TcpStream, mut to: &TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}
