//! Small models in files, a server that runs, and a client that speaks HTTP as it is on the wire.

#![allow(dead_code)] // No test needs all of it.

use serde_json::Value;
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    thread::JoinHandle,
    time::Duration,
};
use zerokara_core::{Array, DType, Meta};
use zerokara_data::{
    ColumnKind, Columns, Dataset, Missing, Normalization, Pictures, Split, Table, Unseen,
};
use zerokara_nn::{Adam, Forward, MeanSquaredError, Sequential};
use zerokara_serve::{Options, Server, Source, Stopper};
use zerokara_train::{ModelCard, Result, SavedModel, Trainer};

/// Longer than anything takes, so that a test that waits in vain ends.
pub const LONG: Duration = Duration::from_secs(60);

/// A model of three classes for samples of five numbers; other seeds give other answers.
pub fn classes(seed: u64) -> SavedModel {
    let layers = Sequential::new().linear(16).relu().linear(3);
    let card = ModelCard {
        name: "net".into(),
        dataset: "points".into(),
        shape: vec![5],
        target: "t".into(),
        class_names: ["red", "green", "blue"].map(String::from).into(),
        normalization: Normalization::divided_by(4.0).unwrap(),
        pictures: Pictures::Plain,
    };
    layers.build(&Meta::new([1, 5], DType::F32), seed).unwrap();
    SavedModel::new(layers, card)
}

/// The sample of a number.
pub fn sample(number: usize) -> Vec<f32> {
    let value = |at: usize| ((number * 31 + at * 17) % 101) as f32 / 10.0 - 5.0;
    (0..5).map(value).collect()
}

/// A model of pictures, `[channels, 28, 28]`.
pub fn pictures(channels: usize, pictures: Pictures) -> SavedModel {
    let layers = Sequential::new().flatten().linear(10);
    let shape = vec![channels, 28, 28];
    let card = ModelCard {
        name: "digits".into(),
        dataset: "mnist".into(),
        shape: shape.clone(),
        target: "t".into(),
        class_names: (0..10).map(|digit| digit.to_string()).collect(),
        normalization: Normalization::unit(),
        pictures,
    };
    let sample = Meta::new([&[1], &shape[..]].concat(), DType::F32);
    layers.build(&sample, 3).unwrap();
    SavedModel::new(layers, card)
}

/// A model of houses' prices from rows of a table.
pub fn houses() -> SavedModel {
    let rows = [
        ["80", "brick"],
        ["55", "wood"],
        ["120", "brick"],
        ["95", "wood"],
    ];
    let kinds = [
        ("size", ColumnKind::Number(Missing::Mean)),
        ("walls", ColumnKind::Categories(Unseen::Error)),
    ];
    let table = Table::fit(kinds, &rows).unwrap();
    let columns = Columns::new()
        .with("house", table.rows(&rows).unwrap())
        .with("price", Array::new([4, 1], vec![3.0f32, 1.7, 4.2, 2.9]));
    let split = Split::of(columns).unwrap().targets(["price"]).unwrap();
    let data = Dataset::of("houses")
        .train(split)
        .unwrap()
        .preprocess("house", table);
    let trainer = Trainer::new(Sequential::new().linear(1), MeanSquaredError::new());
    let trainer = trainer.optimizer(Adam::new(0.1)).epochs(2).quiet();
    trainer.fit(&data).unwrap().model().clone()
}

/// A folder for models' files.
pub struct Files(tempfile::TempDir);

impl Files {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(format!("{name}.safetensors"))
    }

    pub fn save(&self, name: &str, model: &SavedModel) -> Source {
        let path = self.path(name);
        model.save(&path).unwrap();
        Source::new(name, path).unwrap()
    }

    pub fn load(&self, name: &str) -> SavedModel {
        SavedModel::load(self.path(name)).unwrap()
    }

    pub fn folder(&self) -> &Path {
        self.0.path()
    }
}

/// Options for tests: a free port.
pub fn options() -> Options {
    Options {
        port: 0,
        ..Options::default()
    }
}

/// A server on a thread of its own.
pub struct Running {
    pub address: SocketAddr,
    pub url: String,
    stopper: Stopper,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Running {
    pub fn start(sources: Vec<Source>, options: Options) -> Self {
        Self::of(Server::bind(sources, options).unwrap())
    }

    pub fn of(server: Server) -> Self {
        Self {
            address: server.address(),
            url: server.url(),
            stopper: server.stopper(),
            thread: Some(std::thread::spawn(|| server.run())),
        }
    }

    pub fn client(&self) -> Client {
        Client::to(self.address)
    }

    /// One request on a connection of its own.
    pub fn get(&self, path: &str) -> Answer {
        self.client().ask("GET", path, &[], b"")
    }

    pub fn post(&self, path: &str, kind: &str, body: impl AsRef<[u8]>) -> Answer {
        let headers = [("Content-Type", kind)];
        self.client().ask("POST", path, &headers, body.as_ref())
    }

    pub fn json(&self, path: &str, body: &str) -> Answer {
        self.post(path, "application/json", body)
    }

    /// The value of a line of the metrics.
    pub fn metric(&self, line: &str) -> f64 {
        let text = self.get("/metrics").text();
        let values = text.lines().filter_map(|found| found.strip_prefix(line));
        let mut values = values.filter_map(|rest| rest.trim().parse().ok());
        values.next().unwrap_or(0.0)
    }

    /// Waits until so many samples are in the queue of a model.
    pub fn wait_for_queue(&self, model: &str, length: f64) {
        let line = format!("zerokara_queue_length{{model=\"{model}\"}}");
        wait_until(|| self.metric(&line) == length);
    }

    pub fn stop_soon(&self) {
        self.stopper.stop();
    }

    /// Stops it, and waits until it has.
    pub fn stop(mut self) {
        self.stopper.stop();
        self.thread.take().unwrap().join().unwrap().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stopper.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Waits for what comes sooner or later.
#[track_caller]
pub fn wait_until(mut is_so: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !is_so() {
        assert!(start.elapsed() < LONG, "it never came");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A connection.
pub struct Client {
    pub stream: BufReader<TcpStream>,
    pub host: String,
}

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// By their names in small letters.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    /// The sentence of a refusal with this status.
    #[track_caller]
    pub fn refused(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.text());
        let sentence = self.json()["error"].as_str().unwrap().to_string();
        assert!(!sentence.is_empty() && !sentence.contains('\n'));
        sentence
    }

    /// The answer to what was asked well.
    #[track_caller]
    pub fn good(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text());
        self.json()
    }
}

impl Client {
    pub fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream: BufReader::new(stream),
            host: address.to_string(),
        }
    }

    /// The head of a request; a header Host is added unless there is one.
    pub fn head(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        length: usize,
    ) -> String {
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        if !headers.iter().any(|(name, _)| *name == "Host") {
            head += &format!("Host: {}\r\n", self.host);
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        head + &format!("Content-Length: {length}\r\n\r\n")
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).unwrap();
    }

    pub fn ask(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let head = self.head(method, path, headers, body.len());
        self.send(&[head.as_bytes(), body].concat());
        self.receive()
    }

    pub fn json(&mut self, path: &str, body: &str) -> Answer {
        let headers = [("Content-Type", "application/json")];
        self.ask("POST", path, &headers, body.as_bytes())
    }

    pub fn receive(&mut self) -> Answer {
        self.try_receive().expect("an answer")
    }

    /// The status of an answer to HEAD, which has a length and no body.
    pub fn status_of_head(&mut self, path: &str) -> u16 {
        let head = self.head("HEAD", path, &[("Connection", "close")], 0);
        self.send(head.as_bytes());
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        line.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// The next answer; nothing if the connection was closed.
    pub fn try_receive(&mut self) -> Option<Answer> {
        let mut line = String::new();
        if self.stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let status = line.split(' ').nth(1)?.parse().ok()?;
        let mut headers = BTreeMap::new();
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                break;
            };
            headers.insert(name.to_ascii_lowercase(), value.to_string());
        }
        let length = headers.get("content-length");
        let length = length.map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).ok()?;
        Some(Answer {
            status,
            headers,
            body,
        })
    }
}

/// A grey PNG with a dark stroke in its middle.
pub fn png(width: u32, height: u32) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Grayscale);
    let mut writer = encoder.write_header().unwrap();
    let stroke =
        |x: u32, y: u32| x.abs_diff(width / 2) < width / 12 && y > height / 5 && y < height * 4 / 5;
    let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    let pixels: Vec<u8> = pixels
        .map(|(x, y)| if stroke(x, y) { 20 } else { 235 })
        .collect();
    writer.write_image_data(&pixels).unwrap();
    writer.finish().unwrap();
    file
}
