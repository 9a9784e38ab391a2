//! The board: all runs of a folder on one page, as they are trained.
//!
//! Its only store are the folders of the runs. The way of what it shows: `records` (lines of a file that grows), `run` (what a
//! list says of a run), `store` (what is known, and what changed on the disk), `chart` (curves and histograms), `routes`
//! (what is answered, and to whom), `events` (whoever looks is told), `page` (HTML, style and script).

mod chart;
mod events;
mod page;
mod records;
mod routes;
mod run;
mod store;

use crate::listening::{Ending, Signals, Stopper, accept, bind, check_token, runtime};
use routes::{Shared, router};
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener as StdListener},
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};
use tokio::{net::TcpListener, select, sync::watch};
use zerokara_train::{Error, Result, language::Language, run_folder::RunFolder};

/// The longest time of each part of a request.
const LIMIT: Duration = Duration::from_secs(10);
/// The most connections at a time.
const CONNECTIONS: usize = 256;
/// How often a connection that has nothing to say is written to, so that one that is gone is noticed.
const STILL_THERE: Duration = Duration::from_secs(15);

/// How a [`Board`] listens.
#[derive(Clone, Debug)]
pub struct BoardOptions {
    /// The address to listen on; this machine alone unless told otherwise.
    pub host: IpAddr,
    /// The port to listen on; 0 chooses a free one.
    pub port: u16,
    /// What changes must bring as `Authorization: Bearer`, and, on addresses of others than this machine, all requests.
    pub token: String,
    /// How often the folder is looked at.
    pub watch: Duration,
    /// The language of the page.
    pub language: Language,
}

impl BoardOptions {
    /// Listening to this machine alone, with this token.
    pub fn new(token: impl Into<String>) -> Self {
        Self {
            host: Ipv4Addr::LOCALHOST.into(),
            port: 6060,
            token: token.into(),
            watch: Duration::from_millis(500),
            language: Language::English,
        }
    }
}

/// The runs of a folder on a page.
///
/// ```no_run
/// use zerokara_serve::{Board, BoardOptions, new_token};
///
/// let board = Board::bind("runs", BoardOptions::new(new_token()?))?;
/// println!("{}", board.url());
/// board.run_until_signal()?; // until Ctrl-C
/// # Ok::<(), zerokara_train::Error>(())
/// ```
pub struct Board {
    listener: StdListener,
    address: SocketAddr,
    base: PathBuf,
    options: BoardOptions,
    stop: watch::Sender<bool>,
}

impl Board {
    /// Takes the address. Connections wait until the board runs.
    ///
    /// # Errors
    /// If there is no such folder or it is a run itself, the address is taken or none of this machine's, or there is no token.
    pub fn bind(base: impl AsRef<Path>, options: BoardOptions) -> Result<Self> {
        let base = base.as_ref();
        if !base.is_dir() {
            return Err(Error::new(format!(
                "there is no folder {}; name the one that holds the folders of runs, or train a model first",
                base.display()
            )));
        }
        let run = RunFolder::at(base);
        if run.metrics().is_file() || run.settings().is_file() {
            return Err(Error::new(format!(
                "{} is a run itself; name the folder that it is in",
                base.display()
            )));
        }
        std::fs::read_dir(base)
            .map_err(|e| Error::new(format!("cannot read the folder {}: {e}", base.display())))?;
        if options.token.is_empty() {
            return Err(Error::new(
                "the token is empty: whoever reaches the board could delete runs",
            ));
        }
        check_token(options.host, Some(&options.token))?;
        let (listener, address) = bind(SocketAddr::new(options.host, options.port))?;
        Ok(Self {
            listener,
            address,
            base: base.to_path_buf(),
            options,
            stop: watch::Sender::new(false),
        })
    }

    /// Where it listens; the port is the one that was chosen.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The page's address, with the token, without which the page can change nothing.
    pub fn url(&self) -> String {
        format!("http://{}/#token={}", self.address, self.options.token)
    }

    /// What stops it.
    pub fn stopper(&self) -> Stopper {
        Stopper(self.stop.clone())
    }

    /// Answers until it is [stopped](Self::stopper).
    ///
    /// # Errors
    /// If threads cannot be made.
    pub fn run(self) -> Result<()> {
        self.answer(|_| Ok(std::future::pending::<()>()))
            .map(|_| ())
    }

    /// Answers until it is stopped, as Ctrl-C or SIGTERM do; a second signal ends it at once.
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

    fn answer<F: Future<Output = ()>>(
        self,
        cut_off: impl FnOnce(Stopper) -> Result<F>,
    ) -> Result<Ending> {
        let runtime = runtime()?;
        let stopper = self.stopper();
        let shared = Arc::new(Shared::new(self.base, &self.options));
        let (end, ended) = mpsc::channel::<()>();
        let watched = shared.clone();
        let every = self.options.watch;
        let look = thread::Builder::new().name("watch".into()).spawn(move || {
            let mut told = Instant::now();
            loop {
                // What cannot be read now may be at the next look.
                let found = watched.look();
                if found.is_ok_and(|told| told) {
                    told = Instant::now();
                } else if told.elapsed() >= STILL_THERE {
                    watched.hub.tell(": still there\n\n");
                    told = Instant::now();
                }
                if ended.recv_timeout(every) != Err(mpsc::RecvTimeoutError::Timeout) {
                    break;
                }
            }
        })?;
        let stopped = self.stop.subscribe();
        let ending = runtime.block_on(async {
            let cut_off = cut_off(stopper)?;
            self.listener.set_nonblocking(true)?;
            let listener = TcpListener::from_std(self.listener)?;
            let hub = &shared.hub;
            let router = router(shared.clone());
            select! {
                () = accept(listener, router, (CONNECTIONS, LIMIT), stopped, || hub.close()) => Ok(Ending::Stopped),
                () = cut_off => Ok(Ending::CutOff),
            }
        });
        drop(end);
        if matches!(ending, Ok(Ending::Stopped)) {
            // What it panicked with was printed.
            let _ = look.join();
        }
        runtime.shutdown_background();
        ending
    }
}
