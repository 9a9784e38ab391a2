//! What listens: an address that is taken, connections that are accepted and bounded, signals that end them.

use crate::stream::Stream;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use std::{
    io::ErrorKind,
    net::{SocketAddr, TcpListener as StdListener},
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
    select,
    sync::{Semaphore, watch},
    time::{sleep, timeout},
};
use zerokara_train::{Error, Result};

/// Threads that read requests and write answers; models compute on others.
const THREADS: usize = 2;
/// How long to wait where a connection could not be accepted, mostly for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(50);
/// How many times the longest time of a request its connection may go on once the server stops: head, body and answer.
const PARTS: u32 = 3;
/// The most bytes of a request's head.
const MOST_HEAD: usize = 64 << 10;

/// Stops a server from another thread.
#[derive(Clone)]
pub struct Stopper(pub(crate) watch::Sender<bool>);

impl Stopper {
    /// No connection is accepted from here on; what was asked is answered.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was asked to stop, and answered all who waited.
    Stopped,
    /// It was asked twice, and left some without an answer.
    CutOff,
}

/// Takes an address, and tells which port that is.
pub(crate) fn bind(at: SocketAddr) -> Result<(StdListener, SocketAddr)> {
    let listener = StdListener::bind(at).map_err(|e| not_bound(at, &e))?;
    let address = listener.local_addr().map_err(|e| not_bound(at, &e))?;
    Ok((listener, address))
}

/// An address of others than this machine needs a token.
pub(crate) fn check_token(host: std::net::IpAddr, token: Option<&str>) -> Result<()> {
    match host.is_loopback() || token.is_some_and(|token| !token.is_empty()) {
        true => Ok(()),
        false => Err(Error::new(format!(
            "whoever reaches {host} could ask: a token is needed"
        ))),
    }
}

pub(crate) fn runtime() -> Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    let builder = builder.worker_threads(THREADS).enable_io().enable_time();
    Ok(builder.build()?)
}

fn not_bound(at: SocketAddr, error: &std::io::Error) -> Error {
    Error::new(match error.kind() {
        ErrorKind::AddrInUse => format!(
            "cannot listen on {at}: another program does; --port chooses another port, 0 a free one"
        ),
        ErrorKind::AddrNotAvailable => {
            format!("cannot listen on {at}: this machine has no such address")
        }
        ErrorKind::PermissionDenied => {
            format!(
                "cannot listen on {at}: ports below 1024 need more rights; --port chooses another"
            )
        }
        _ => format!("cannot listen on {at}: {error}"),
    })
}

/// Accepts connections until it is stopped; then waits for those that are being answered.
///
/// `connections` is the most of them at a time, `limit` the longest time of each part of a request; `ending` is called before
/// the wait.
pub(crate) async fn accept(
    listener: TcpListener,
    router: Router,
    (connections, limit): (usize, Duration),
    mut stopped: watch::Receiver<bool>,
    ending: impl FnOnce(),
) {
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(connections.max(1)));
    let mut protocol = http1::Builder::new();
    protocol
        .timer(TokioTimer::new())
        .header_read_timeout(limit)
        .max_buf_size(MOST_HEAD);
    loop {
        let next = async {
            let place = places.clone().acquire_owned().await;
            (listener.accept().await, place)
        };
        let (accepted, place) = select! {
            biased;
            _ = stopped.wait_for(|stopped| *stopped) => break,
            next = next => next,
        };
        let Ok((stream, _)) = accepted else {
            sleep(PAUSE).await;
            continue;
        };
        // Answers are short, and whoever waits for one waits for all of it.
        let _ = stream.set_nodelay(true);
        let stream = Stream::new(stream, limit);
        let service = TowerToHyperService::new(router.clone());
        let connection = protocol.serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            // A connection that breaks is of no concern to others.
            let _ = connection.await;
            drop(place);
        });
    }
    drop(listener);
    ending();
    let _ = timeout(limit * PARTS, graceful.shutdown()).await;
}

/// Ctrl-C, and SIGTERM where there is one.
pub(crate) struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    #[cfg(unix)]
    pub fn new() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    #[cfg(not(unix))]
    pub fn new() -> Result<Self> {
        Ok(Self {})
    }

    pub async fn next(&mut self) {
        #[cfg(unix)]
        select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
        #[cfg(not(unix))]
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
