//! Routes, shapes, and what the journal had no room for.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use paceline_journal::{Latencies, LoadError, RouteSnapshot, ShapeSnapshot, Totals};

use super::sheet::{Labels, Sheet, bytes, family, seconds};

/// The bounds that the semantic conventions advise for `http.server.request.duration`.
const HTTP_BOUNDS: [Duration; 14] = micros([
    5_000, 10_000, 25_000, 50_000, 75_000, 100_000, 250_000, 500_000, 750_000, 1_000_000,
    2_500_000, 5_000_000, 7_500_000, 10_000_000,
]);
/// Those for `db.client.operation.duration`, and some below: statements are often shorter than the first.
const DATABASE_BOUNDS: [Duration; 12] = micros([
    100, 250, 500, 1_000, 5_000, 10_000, 50_000, 100_000, 500_000, 1_000_000, 5_000_000, 10_000_000,
]);
const STATUS_CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

pub(super) fn routes(sheet: &mut Sheet<'_>, routes: &[RouteSnapshot]) -> fmt::Result {
    let each = |of: fn(&RouteSnapshot) -> &Latencies| {
        routes.iter().map(move |route| (labels(route), of(route)))
    };
    sheet.histograms(
        &seconds(
            "http_server_request_duration",
            "From a request's start to the end of its answer",
        ),
        &HTTP_BOUNDS,
        each(|route| &route.latency),
    )?;
    sheet.histograms(
        &seconds(
            "paceline_upstream_duration",
            "The application's own time, up to its first byte",
        ),
        &HTTP_BOUNDS,
        each(|route| &route.upstream),
    )?;
    responses(sheet, routes)?;
    let shares = |exact: fn(&RouteSnapshot) -> f64, shared: fn(&RouteSnapshot) -> f64| {
        routes.iter().flat_map(move |route| {
            [("exact", exact(route)), ("shared", shared(route))].map(|(attribution, value)| {
                (with(labels(route), "attribution", attribution), value)
            })
        })
    };
    let time = seconds(
        "paceline_route_database",
        "Database time charged to requests",
    );
    let exact = |route: &RouteSnapshot| route.database_time_exact.as_secs_f64();
    let shared = |route: &RouteSnapshot| {
        route
            .database_time
            .saturating_sub(route.database_time_exact)
            .as_secs_f64()
    };
    sheet.counters(&time, shares(exact, shared))?;
    let statements = family(
        "paceline_route_statements",
        "Statements charged to requests",
    );
    sheet.counters(
        &statements,
        shares(
            |route| route.statements as f64,
            |route| route.statements_shared,
        ),
    )
}

fn responses(sheet: &mut Sheet<'_>, routes: &[RouteSnapshot]) -> fmt::Result {
    let by_class = routes.iter().flat_map(|route| {
        let counts = STATUS_CLASSES.into_iter().zip(route.status_classes);
        counts
            .filter(|(_, count)| *count > 0)
            .map(|(class, count)| {
                (
                    with(labels(route), "http_response_status_class", class),
                    count as f64,
                )
            })
    });
    sheet.counters(
        &family(
            "paceline_http_responses",
            "Answers by the class of their status",
        ),
        by_class,
    )?;
    let errors = routes.iter().flat_map(|route| {
        LoadError::ALL
            .into_iter()
            .filter(|error| route.errors_of(*error) > 0)
            .map(|error| {
                let labels = with(labels(route), "error_type", error.as_str());
                (labels, route.errors_of(error) as f64)
            })
    });
    sheet.counters(
        &family("paceline_http_errors", "Requests that failed on the way"),
        errors,
    )?;
    let sizes = routes
        .iter()
        .map(|route| (labels(route), route.response_bytes as f64));
    sheet.counters(
        &bytes(
            "paceline_http_response_body",
            "Bytes of the answers' bodies",
        ),
        sizes,
    )
}

/// Many shapes share a summary (`SELECT jobs`); a summary is one series, or labels would not be unique.
pub(super) fn shapes(sheet: &mut Sheet<'_>, shapes: &[ShapeSnapshot]) -> fmt::Result {
    #[derive(Default)]
    struct Sum {
        time: Latencies,
        errors: u64,
        lost: u64,
        rows: u64,
    }
    let mut sums: BTreeMap<&str, Sum> = BTreeMap::new();
    for shape in shapes {
        let sum = sums.entry(&shape.shape.summary).or_default();
        sum.time.merge(&shape.time);
        sum.errors += shape.errors;
        sum.lost += shape.lost;
        sum.rows += shape.rows;
    }
    let labels = |summary: &str| -> Labels {
        vec![
            ("db_system_name", "postgresql".to_owned()),
            ("db_query_summary", summary.to_owned()),
        ]
    };
    sheet.histograms(
        &seconds(
            "db_client_operation_duration",
            "From a statement's sending to its end",
        ),
        &DATABASE_BOUNDS,
        sums.iter()
            .map(|(summary, sum)| (labels(summary), &sum.time)),
    )?;
    let failed = sums.iter().flat_map(|(summary, sum)| {
        [("failed", sum.errors), ("lost", sum.lost)]
            .map(|(error, count)| (with(labels(summary), "error_type", error), count as f64))
    });
    let help = "Statements that failed, or lost their connection";
    let failed = failed.filter(|(_, count)| *count > 0.0);
    sheet.counters(&family("paceline_statement_errors", help), failed)?;
    let rows = sums
        .iter()
        .map(|(summary, sum)| (labels(summary), sum.rows as f64));
    sheet.counters(
        &family("paceline_statement_rows", "Rows returned or affected"),
        rows,
    )
}

pub(super) fn totals(sheet: &mut Sheet<'_>, totals: &Totals) -> fmt::Result {
    let open = [(Labels::new(), totals.loads_open as f64)];
    sheet.gauges(
        &family(
            "paceline_requests_open",
            "Requests under way to the application",
        ),
        open,
    )?;
    let attributed = [
        ("tagged", totals.executions_tagged),
        ("exclusive", totals.executions_exclusive),
        ("overlapping", totals.executions_overlapping),
        ("unknown_trace", totals.unknown_traces),
        ("late", totals.late),
    ];
    let attributed =
        attributed.map(|(kind, count)| (vec![("attribution", kind.to_owned())], count as f64));
    let help = "How statements found their request";
    sheet.counters(&family("paceline_statements_attributed", help), attributed)?;
    let drops =
        dropped(totals).map(|(reason, count)| (vec![("reason", reason.to_owned())], count as f64));
    sheet.counters(
        &family(
            "paceline_journal_dropped",
            "What found no room in the journal",
        ),
        drops,
    )
}

/// What found no room, by what lacked.
pub(crate) fn dropped(totals: &Totals) -> impl Iterator<Item = (&'static str, u64)> + use<> {
    [
        ("open_loads", totals.loads_unchargeable),
        ("statements_per_request", totals.statements_unlisted),
        ("routes", totals.requests_other),
        ("routes_evicted", totals.routes_evicted),
        ("shapes", totals.executions_other),
        ("shapes_evicted", totals.shapes_evicted),
        ("pairs", totals.pairs_dropped),
    ]
    .into_iter()
}

fn labels(route: &RouteSnapshot) -> Labels {
    let (method, template) = route.method_and_template();
    vec![
        ("http_request_method", method.to_owned()),
        ("http_route", template.to_owned()),
    ]
}

fn with(mut labels: Labels, name: &'static str, value: &str) -> Labels {
    labels.push((name, value.to_owned()));
    labels
}

const fn micros<const N: usize>(values: [u64; N]) -> [Duration; N] {
    let mut bounds = [Duration::ZERO; N];
    let mut i = 0;
    while i < N {
        bounds[i] = Duration::from_micros(values[i]);
        i += 1;
    }
    bounds
}
