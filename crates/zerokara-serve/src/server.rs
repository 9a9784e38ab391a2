//! The server: listens, accepts, and stops.

use crate::{
    listening::{Ending, Signals, Stopper, accept, bind, check_token, runtime},
    options::Options,
    routes::{Shared, router},
    served::{Served, Source},
    watch::{Change, Told, Watch},
};
use std::{
    net::{SocketAddr, TcpListener as StdListener},
    sync::Arc,
    thread,
};
use tokio::{net::TcpListener, select, sync::watch};
use zerokara_train::{Error, Result, language::Language};

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
        check_token(options.host, options.token.as_deref())?;
        let (listener, address) = bind(options.address())?;
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
        let bounds = (self.options.connections, self.options.timeout);
        let hurry = || self.models.iter().for_each(|served| served.queue.hurry());
        let ending = runtime.block_on(async {
            let cut_off = cut_off(stopper)?;
            self.listener.set_nonblocking(true)?;
            let listener = TcpListener::from_std(self.listener)?;
            select! {
                () = accept(listener, router, bounds, stopped, hurry) => Ok(Ending::Stopped),
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
