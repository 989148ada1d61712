//! The HTTP listener: health, readiness and metrics. It decides nothing and reads no store.

mod listen;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The largest body that is read.
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// What the pages show.
#[derive(Clone)]
pub struct HttpState {
    /// Renders the metrics.
    pub metrics: PrometheusHandle,
    /// Whether the server can do its work.
    pub ready: watch::Receiver<Readiness>,
}

/// Whether a server can do its work, and if not, why: "starting", "the lease has not been renewed for 4 s".
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Readiness {
    /// What keeps it from its work; ready if there is nothing.
    pub reasons: Vec<String>,
}

impl Readiness {
    /// Ready.
    pub const fn ready() -> Self {
        Self { reasons: Vec::new() }
    }

    /// Not ready for this reason.
    pub fn waiting(reason: impl Into<String>) -> Self {
        Self { reasons: vec![reason.into()] }
    }
}

/// Serves HTTP until `shutdown`, then lets open requests end, at most [`listen::DRAIN`] long. Errors: the listener broke.
pub async fn serve(
    listener: TcpListener,
    state: HttpState,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    listen::accept(listener, router(state), shutdown).await
}

fn router(state: HttpState) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .fallback(missing)
        .method_not_allowed_fallback(not_allowed)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(axum::middleware::map_response(secured))
        .with_state(Arc::new(state))
}

/// The process is alive and answers.
async fn healthz() -> Response {
    json_response(StatusCode::OK, "application/json", &json!({"status": "alive"}))
}

/// The server can do its work, or what keeps it from it.
async fn readyz(State(state): State<Arc<HttpState>>) -> Response {
    let reasons = state.ready.borrow().reasons.clone();
    let (status, word) = if reasons.is_empty() {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not_ready")
    };
    json_response(status, "application/json", &json!({"status": word, "reasons": reasons}))
}

/// Prometheus' text format.
async fn metrics(State(state): State<Arc<HttpState>>) -> Response {
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], state.metrics.render()).into_response()
}

async fn missing(uri: Uri) -> Response {
    problem(StatusCode::NOT_FOUND, "not_found", "there is nothing at this path", &uri)
}

async fn not_allowed(uri: Uri) -> Response {
    problem(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this path does not take this method", &uri)
}

/// An error in the shape of RFC 9457.
fn problem(status: StatusCode, code: &str, detail: &str, uri: &Uri) -> Response {
    let title = status.canonical_reason().unwrap_or("Error");
    let remedy = "the paths are /healthz, /readyz and /metrics, all by GET";
    let body = json!({
        "type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail,
        "instance": uri.path(), "code": code, "remedy": remedy,
    });
    json_response(status, "application/problem+json", &body)
}

fn json_response(status: StatusCode, kind: &'static str, body: &serde_json::Value) -> Response {
    let kind = HeaderValue::from_static(kind);
    (status, [(header::CONTENT_TYPE, kind)], format!("{body}\n")).into_response()
}

/// Nothing here is a page: nothing may be framed, guessed at, cached or loaded from.
async fn secured(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
