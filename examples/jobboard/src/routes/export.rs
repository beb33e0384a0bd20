//! Jobs as CSV, for spreadsheets and partners.

use std::convert::Infallible;
use std::fmt::Write as _;

use axum::body::{Body, Bytes};
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::header::{CONTENT_TYPE, ETAG};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Deserialize;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::db::Db;
use crate::error::ApiError;
use crate::password::fingerprint;

pub(crate) const ROWS_MAX: i64 = 500;
pub(crate) const CHUNK_ROWS: usize = 50;
pub(crate) const HEAD: &str = "id,title,company,seniority,remote,salary_min,salary_max\n";

#[derive(Debug, Deserialize)]
pub(crate) struct Filter {
    pub(crate) seniority: Option<String>,
}

/// `GET /export?seniority=`: at most 500 jobs, the newest first.
pub(crate) async fn export(
    db: Db,
    filter: Result<Query<Filter>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(Filter { seniority }) = filter?;
    let rows = db
        .query(
            "SELECT jobs.*, companies.name AS company FROM jobs \
             JOIN companies ON companies.id = jobs.company_id \
             WHERE $1::text IS NULL OR jobs.seniority = $1 \
             ORDER BY jobs.posted_at DESC, jobs.id DESC LIMIT $2",
            &[(&seniority, Type::TEXT), (&ROWS_MAX, Type::INT8)],
        )
        .await?;
    let mut etag = fingerprint("jobs");
    let mut chunks = vec![HEAD.to_owned()];
    for rows in rows.chunks(CHUNK_ROWS) {
        let mut chunk = String::new();
        for row in rows {
            let line = line(row)?;
            // Line by line, so that equal exports have equal tags however they are cut into chunks.
            etag = fingerprint(&(etag + &line));
            chunk.push_str(&line);
        }
        chunks.push(chunk);
    }
    let chunks = chunks
        .into_iter()
        .map(|chunk| Ok::<_, Infallible>(Bytes::from(chunk)));
    let headers = [
        (CONTENT_TYPE, "text/csv; charset=utf-8".into()),
        (ETAG, format!("\"{etag}\"")),
    ];
    Ok((headers, Body::from_stream(stream::iter(chunks))).into_response())
}

/// A job's line.
pub(crate) fn line(row: &Row) -> Result<String, tokio_postgres::Error> {
    let mut line = row.try_get::<_, i32>("id")?.to_string();
    for column in ["title", "company", "seniority"] {
        let text: &str = row.try_get(column)?;
        if text.contains([',', '"', '\n']) {
            let _ = write!(line, ",\"{}\"", text.replace('"', "\"\""));
        } else {
            let _ = write!(line, ",{text}");
        }
    }
    let _ = write!(line, ",{}", row.try_get::<_, bool>("remote")?);
    for column in ["salary_min", "salary_max"] {
        let _ = write!(line, ",{}", row.try_get::<_, i32>(column)?);
    }
    line.push('\n');
    Ok(line)
}
