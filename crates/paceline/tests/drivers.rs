//! The drivers that people use, through the real binary, with fewer server connections than clients. These come as packages of
//! Debian; `make test-drivers` runs the same programs with the newest drivers, and those of other languages.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "drivers/run.rs"]
mod run;

use run::{Driver, debians_python, node};

fn assert_passes(driver: &Driver) {
    let report = driver.run();
    assert!(
        report.failed.is_empty(),
        "{} {}: {:#?}\n{}",
        report.name,
        report.version,
        report.failed,
        report.output
    );
    // Not all is skipped, whatever the program says.
    assert!(
        report.passed.len() > report.skipped.len(),
        "{}",
        report.output
    );
}

#[test]
fn psycopg_passes() {
    assert_passes(&debians_python("psycopg"));
}

#[test]
fn psycopg2_passes() {
    assert_passes(&debians_python("psycopg2"));
}

#[test]
fn asyncpg_passes() {
    assert_passes(&debians_python("asyncpg"));
}

#[test]
fn sqlalchemy_passes() {
    assert_passes(&debians_python("sqlalchemy+asyncpg"));
}

#[test]
fn node_postgres_passes() {
    assert_passes(&node("node-postgres", "drive_pg.js"));
}
