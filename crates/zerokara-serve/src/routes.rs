//! What is answered at which path.

use crate::{
    body::{self, Kind, Room},
    guard,
    loaded::{Loaded, Samples},
    metrics::{self, Metrics},
    openapi,
    options::Options,
    page::{self, Page},
    queue::Job,
    refusal::{Outcome, Refusal, json_response},
    served::Served,
};
use axum::{
    Router,
    body::Body,
    extract::{Path, Request, State},
    http::{
        HeaderValue, StatusCode,
        header::{CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
    },
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use std::{sync::Arc, time::Instant};
use tokio::{
    sync::{Semaphore, oneshot},
    task::spawn_blocking,
    time::timeout,
};
use zerokara_train::language::Language;

/// What all requests share.
pub(crate) struct Shared {
    pub models: Vec<Arc<Served>>,
    pub options: Options,
    metrics: Metrics,
    page: Page,
    /// For what takes a while to read: pictures, and large bodies. Each may need much memory, so that few are read at once.
    reading: Semaphore,
    room: Room,
}

/// Bodies up to this size are read where they come in, since that takes less than handing them over.
const SMALL: usize = 64 << 10;
/// How many pictures and large bodies are read at once.
const READ_AT_ONCE: usize = 4;

impl Shared {
    pub fn new(models: Vec<Arc<Served>>, options: Options, language: Language) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            room: Room::new(&options),
            models,
            options,
            metrics: Metrics::new(),
            page: Page::new(language),
            reading: Semaphore::new(threads.min(READ_AT_ONCE)),
        }
    }

    fn model(&self, name: &str) -> Outcome<&Arc<Served>> {
        let found = self.models.iter().find(|served| served.name() == name);
        found.ok_or_else(|| {
            let names: Vec<&str> = self.models.iter().map(|served| served.name()).collect();
            let sentence = format!("there is no model {name:?}; there are {}", names.join(", "));
            Refusal::new(StatusCode::NOT_FOUND, sentence)
        })
    }
}

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(html))
        .route(page::STYLE_PATH, get(style))
        .route(page::SCRIPT_PATH, get(script))
        .route("/health", get(health))
        .route("/metrics", get(counted))
        .route("/models", get(models))
        .route("/openapi.json", get(described))
        .route("/predict", post(predict_first))
        .route("/models/{name}/predict", post(predict_named))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(shared.clone(), guarded))
        .with_state(shared)
}

/// What holds for every request: who may ask, and that it is counted.
async fn guarded(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let mut response = match guard::check(&request, &shared.options) {
        Ok(()) => next.run(request).await,
        Err(refusal) => {
            body::discard(request.into_body()).await;
            refusal.into_response()
        }
    };
    shared.metrics.answered(response.status().as_u16());
    let nosniff = HeaderValue::from_static("nosniff");
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, nosniff);
    response
}

async fn html(State(shared): State<Arc<Shared>>) -> Response {
    shared.page.html()
}

async fn style(State(shared): State<Arc<Shared>>) -> Response {
    shared.page.style()
}

async fn script(State(shared): State<Arc<Shared>>) -> Response {
    shared.page.script()
}

async fn health(State(shared): State<Arc<Shared>>) -> Response {
    // Whoever may not see the models may see that they are there.
    let models = shared.models.len();
    json_response(StatusCode::OK, &json!({ "status": "ok", "models": models }))
}

async fn counted(State(shared): State<Arc<Shared>>) -> Response {
    let models = shared.models.iter();
    let lines: Vec<metrics::Line> = models
        .map(|served| (served.name(), &served.metrics, served.queue.len()))
        .collect();
    let mut response = Response::new(Body::from(metrics::text(&shared.metrics, &lines)));
    let text = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, text);
    response
}

async fn models(State(shared): State<Arc<Shared>>) -> Response {
    let models = shared.models.iter();
    let models: Vec<Value> = models
        .map(|served| served.current().described(served.name()))
        .collect();
    json_response(StatusCode::OK, &json!({ "models": models }))
}

async fn described(State(shared): State<Arc<Shared>>) -> Response {
    json_response(StatusCode::OK, &openapi::document(&shared))
}

async fn unknown(request: Request) -> Response {
    let path = request.uri().path().to_string();
    body::discard(request.into_body()).await;
    let sentence = format!("there is nothing at {path}; /openapi.json says what there is");
    Refusal::new(StatusCode::NOT_FOUND, sentence).into_response()
}

async fn wrong_method(request: Request) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_string());
    body::discard(request.into_body()).await;
    let sentence =
        format!("{path} does not answer to {method}; /openapi.json says to what it does");
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, sentence).into_response()
}

async fn predict_first(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    match shared.models.first() {
        Some(served) => predict(&shared, served, request).await,
        None => unknown(request).await,
    }
}

async fn predict_named(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    request: Request,
) -> Response {
    match shared.model(&name) {
        Ok(served) => predict(&shared, served, request).await,
        Err(refusal) => {
            body::discard(request.into_body()).await;
            refusal.into_response()
        }
    }
}

async fn predict(shared: &Arc<Shared>, served: &Served, request: Request) -> Response {
    let came = Instant::now();
    let response = match answered(shared, served, request).await {
        Ok(answer) => json_response(StatusCode::OK, &answer),
        Err(refusal) => refusal.into_response(),
    };
    shared.metrics.predicted(came.elapsed());
    response
}

/// Reads a request, lets its samples wait among others, and gives what the model says of them.
async fn answered(shared: &Arc<Shared>, served: &Served, request: Request) -> Outcome<Value> {
    let options = &shared.options;
    let model = served.current();
    let kind = match Kind::of(request.headers()).and_then(|kind| model.takes_kind(kind)) {
        Ok(kind) => kind,
        Err(refusal) => {
            body::discard(request.into_body()).await;
            return Err(refusal);
        }
    };
    let held = body::read(request, options, &shared.room).await?;
    let late = || {
        let seconds = options.timeout.as_secs_f64();
        let sentence = format!("there was no answer within {seconds} seconds");
        Refusal::new(StatusCode::GATEWAY_TIMEOUT, sentence)
    };
    let answer = async {
        let Samples { inputs, is_list } =
            samples(shared, &model, kind, held.bytes.clone(), served).await?;
        let came = Instant::now();
        let (jobs, replies): (Vec<Job>, Vec<_>) = inputs
            .into_iter()
            .map(|inputs| {
                let (reply, answer) = oneshot::channel();
                let model = model.clone();
                let job = Job {
                    model,
                    inputs,
                    reply,
                    came,
                };
                (job, answer)
            })
            .unzip();
        if !served.queue.put(jobs) {
            return Err(Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "too many requests wait for the model; come again in a second",
            ));
        }
        let mut answers = Vec::with_capacity(replies.len());
        for reply in replies {
            let gone = |_| {
                let sentence = "the server stopped before it came to an answer";
                Refusal::new(StatusCode::SERVICE_UNAVAILABLE, sentence)
            };
            answers.push(reply.await.map_err(gone)??);
        }
        Ok(match is_list {
            true => Value::Array(answers),
            false => answers.pop().unwrap_or_default(),
        })
    };
    timeout(options.timeout, answer)
        .await
        .unwrap_or_else(|_| Err(late()))
}

/// The samples in a body.
async fn samples(
    shared: &Arc<Shared>,
    model: &Arc<Loaded>,
    kind: Kind,
    body: axum::body::Bytes,
    served: &Served,
) -> Outcome<Samples> {
    let (most, most_pixels) = (served.queue.most(), shared.options.max_pixels);
    let files = match kind {
        Kind::Json if body.len() <= SMALL => return model.json(&body, most),
        Kind::Csv if body.len() <= SMALL => return model.csv(&body, most),
        Kind::Form(ref boundary) => body::pictures(body.clone(), boundary.clone(), most).await?,
        _ => Vec::new(),
    };
    let broken = |_| {
        let sentence = "what was sent could not be read";
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, sentence)
    };
    // It is never closed.
    let _place = shared.reading.acquire().await;
    let model = model.clone();
    let read = move || match kind {
        Kind::Json => model.json(&body, most),
        Kind::Csv => model.csv(&body, most),
        Kind::Picture => Ok(Samples {
            inputs: vec![model.picture(&body, most_pixels)?],
            is_list: false,
        }),
        Kind::Form(_) => {
            let pictures = files.iter().map(|file| model.picture(file, most_pixels));
            let inputs: Vec<_> = pictures.collect::<Outcome<_>>()?;
            let is_list = inputs.len() > 1;
            Ok(Samples { inputs, is_list })
        }
    };
    spawn_blocking(read).await.map_err(broken)?
}
