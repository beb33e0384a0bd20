//! Jobs as CSV: a tag that the database computes, and rows that are sent as they come.

use std::pin::Pin;

use axum::body::{Body, Bytes};
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt as _};
use tokio_postgres::types::Type;

use crate::error::ApiError;
use crate::routes::export::{CHUNK_ROWS, Filter, HEAD, ROWS_MAX, line};

use super::Db;
use super::pack;

type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, tokio_postgres::Error>> + Send>>;

const ROWS: &str = "SELECT jobs.id, jobs.title, companies.name AS company, jobs.seniority, jobs.remote, \
     jobs.salary_min, jobs.salary_max FROM jobs JOIN companies ON companies.id = jobs.company_id";
const NEWEST: &str = "ORDER BY jobs.posted_at DESC, jobs.id DESC LIMIT $1";

/// `GET /export?seniority=`: at most 500 jobs, the newest first.
pub(crate) async fn export(
    db: Db,
    asked: HeaderMap,
    filter: Result<Query<Filter>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(Filter { seniority }) = filter?;
    let rows = match seniority {
        Some(_) => format!("{ROWS} WHERE jobs.seniority = $2 {NEWEST}"),
        None => format!("{ROWS} {NEWEST}"),
    };
    let connection = db.connection().await?;
    let mut parameters: Vec<(&(dyn tokio_postgres::types::ToSql + Sync), Type)> =
        vec![(&ROWS_MAX, Type::INT8)];
    if let Some(seniority) = &seniority {
        parameters.push((seniority, Type::TEXT));
    }
    // Rows that change between the two statements make the body newer than its tag, which costs
    // whoever asks again one more transfer.
    let sql = format!("SELECT md5(string_agg(e::text, '' ORDER BY e.id)) FROM ({rows}) AS e");
    let tag = connection.query_opt(&sql, &parameters).await?;
    let tag: Option<String> = tag.ok_or(ApiError::Busy)?.try_get(0)?;
    let tag = format!("W/\"{}\"", tag.unwrap_or_default());
    if pack::has(&asked, &tag) {
        return Ok(pack::not_modified(&tag));
    }
    let lines = connection.stream(&rows, parameters).await?;
    let lines = lines.map(|row| line(&row?)).ready_chunks(CHUNK_ROWS);
    let lines = lines.map(move |lines| {
        // The connection is given back when the last row has been read.
        let _ = &connection;
        lines
            .into_iter()
            .collect::<Result<String, _>>()
            .map(Bytes::from)
    });
    let head = futures_util::stream::iter([Ok(Bytes::from_static(HEAD.as_bytes()))]);
    let mut chunks: Chunks = Box::pin(head.chain(lines));
    let mut headers = HeaderMap::from_iter(pack::validators(&tag));
    if pack::takes_gzip(&asked) {
        chunks = Box::pin(pack::gzip_stream(chunks));
        headers.insert(CONTENT_ENCODING, pack::gzip_value());
    }
    let kind = [(CONTENT_TYPE, "text/csv; charset=utf-8")];
    Ok((headers, kind, Body::from_stream(chunks)).into_response())
}
