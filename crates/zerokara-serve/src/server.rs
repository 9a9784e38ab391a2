//! The server: listens, accepts, and stops.

use crate::{
    options::Options,
    routes::{Shared, router},
    served::{Served, Source},
    stream::Stream,
    watch::{Change, Told, Watch},
};
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
    thread,
    time::Duration,
};
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
    select,
    sync::{Semaphore, watch},
    time::{sleep, timeout},
};
use zerokara_train::{Error, Result, language::Language};

/// Threads that read requests and write answers; models compute on others.
const THREADS: usize = 2;
/// How long to wait where a connection could not be accepted, mostly for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(50);
/// How many times the longest time of a request its connection may go on once the server stops: head, body and answer.
const PARTS: u32 = 3;
/// The most bytes of a request's head.
const MOST_HEAD: usize = 64 << 10;

/// Models that listen.
///
/// ```no_run
/// use zerokara_serve::{Ending, Options, Server, Source};
///
/// let source = Source::new("digits", "digits.safetensors")?;
/// let server = Server::bind(vec![source], Options::default())?;
/// println!("{}", server.url());
/// assert_eq!(server.run_until_signal()?, Ending::Stopped); // after Ctrl-C
/// # Ok::<(), zerokara_train::Error>(())
/// ```
pub struct Server {
    listener: StdListener,
    address: SocketAddr,
    models: Vec<Arc<Served>>,
    options: Options,
    language: Language,
    told: Told,
    stop: watch::Sender<bool>,
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was asked to stop, and answered all who waited.
    Stopped,
    /// It was asked twice, and left some without an answer.
    CutOff,
}

/// Stops a server from another thread.
#[derive(Clone)]
pub struct Stopper(watch::Sender<bool>);

impl Stopper {
    /// No connection is accepted from here on; what was asked is answered.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Server {
    /// Takes the address and loads the models. Connections wait until the server runs.
    ///
    /// # Errors
    /// If the address is taken or none of this machine's, there is no model, a model cannot be loaded, two have one name, or
    /// addresses other than this machine's own are listened on without a token.
    pub fn bind(sources: Vec<Source>, options: Options) -> Result<Self> {
        if sources.is_empty() {
            return Err(Error::new("there is no model to serve"));
        }
        let mut names: Vec<&str> = sources.iter().map(Source::name).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Error::new(format!(
                "two models are named {}; NAME=PATH gives one another name",
                pair[0]
            )));
        }
        if !options.host.is_loopback() && options.token.as_ref().is_none_or(String::is_empty) {
            return Err(Error::new(format!(
                "whoever reaches {} could ask: a token is needed",
                options.host
            )));
        }
        let at = options.address();
        let listener = StdListener::bind(at).map_err(|e| not_bound(at, &e))?;
        let address = listener.local_addr().map_err(|e| not_bound(at, &e))?;
        let load = |source| Ok(Arc::new(Served::load(source, &options)?));
        let models = sources.into_iter().map(load).collect::<Result<_>>()?;
        Ok(Self {
            listener,
            address,
            models,
            options,
            language: Language::English,
            told: Arc::new(|_| {}),
            stop: watch::Sender::new(false),
        })
    }

    /// The language of the page.
    pub fn language(mut self, language: Language) -> Self {
        self.language = language;
        self
    }

    /// Who is told when a model's file changes.
    pub fn tell(mut self, told: impl Fn(Change) + Send + Sync + 'static) -> Self {
        self.told = Arc::new(told);
        self
    }

    /// Where it listens; the port is the one that was chosen.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The page's address, with the token if one is needed.
    pub fn url(&self) -> String {
        let token = self.options.token.as_ref();
        let token = token.map(|token| format!("#token={token}"));
        format!("http://{}/{}", self.address, token.unwrap_or_default())
    }

    /// The models' names, the one that `/predict` asks first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.models.iter().map(|served| served.name())
    }

    /// What stops it.
    pub fn stopper(&self) -> Stopper {
        Stopper(self.stop.clone())
    }

    /// Answers until it is [stopped](Server::stopper).
    ///
    /// # Errors
    /// If threads cannot be made.
    pub fn run(self) -> Result<()> {
        let never = async {
            std::future::pending::<()>().await;
        };
        self.answer(|_| Ok(never)).map(|_| ())
    }

    /// Answers until it is stopped, as Ctrl-C or SIGTERM do; a second signal ends it without an answer for those who wait.
    ///
    /// # Errors
    /// If threads cannot be made, or signals cannot be watched for.
    pub fn run_until_signal(self) -> Result<Ending> {
        self.answer(|stopper| {
            let mut signals = Signals::new()?;
            Ok(async move {
                signals.next().await;
                stopper.stop();
                signals.next().await;
            })
        })
    }

    /// Answers until it is stopped, or until `cut_off` is over.
    fn answer<F: Future<Output = ()>>(
        self,
        cut_off: impl FnOnce(Stopper) -> Result<F>,
    ) -> Result<Ending> {
        let runtime = runtime()?;
        let stopper = self.stopper();
        let workers = self.models.iter().map(|served| {
            let (served, wait) = (served.clone(), self.options.wait);
            let work = move || served.work(wait);
            let name = "answers".to_string();
            thread::Builder::new().name(name).spawn(work)
        });
        let workers: Vec<_> = workers.collect::<std::io::Result<_>>()?;
        let watch = Watch::start(self.models.clone(), self.options.watch, self.told)?;
        let router = router(Arc::new(Shared::new(
            self.models.clone(),
            self.options.clone(),
            self.language,
        )));
        let stopped = self.stop.subscribe();
        let ending = runtime.block_on(async {
            let cut_off = cut_off(stopper)?;
            self.listener.set_nonblocking(true)?;
            let listener = TcpListener::from_std(self.listener)?;
            select! {
                () = accept(listener, router, &self.models, &self.options, stopped) => Ok(Ending::Stopped),
                () = cut_off => Ok(Ending::CutOff),
            }
        });
        for served in &self.models {
            served.queue.close();
        }
        match ending {
            Ok(Ending::Stopped) => {
                drop(watch);
                for worker in workers {
                    // What it panicked with was printed.
                    let _ = worker.join();
                }
            }
            _ => watch.leave(),
        }
        runtime.shutdown_background();
        ending
    }
}

fn runtime() -> Result<Runtime> {
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
async fn accept(
    listener: TcpListener,
    router: Router,
    models: &[Arc<Served>],
    options: &Options,
    mut stopped: watch::Receiver<bool>,
) {
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(options.connections.max(1)));
    let mut protocol = http1::Builder::new();
    protocol
        .timer(TokioTimer::new())
        .header_read_timeout(options.timeout)
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
        let stream = Stream::new(stream, options.timeout);
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
    models.iter().for_each(|served| served.queue.hurry());
    let _ = timeout(options.timeout * PARTS, graceful.shutdown()).await;
}

/// Ctrl-C, and SIGTERM where there is one.
struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    #[cfg(unix)]
    fn new() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    #[cfg(not(unix))]
    fn new() -> Result<Self> {
        Ok(Self {})
    }

    async fn next(&mut self) {
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
