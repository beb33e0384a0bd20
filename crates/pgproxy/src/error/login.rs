//! What clients are told that are not let in.

use std::time::Duration;

use paceline_pgwire::SqlState;

use super::{Refusal, Unavailable};

impl Refusal {
    pub(crate) fn wrong_password(user: &str) -> Self {
        Self::new(
            SqlState::INVALID_PASSWORD,
            format!("password authentication failed for user \"{user}\""),
        )
    }

    pub(crate) fn unknown_user(user: &str) -> Self {
        Self::new(
            SqlState::INVALID_PASSWORD,
            format!("user \"{user}\" is not known here"),
        )
        .hint("Clients log in with the user of the database's URL, or one that the configuration names.")
    }

    pub(crate) fn wrong_certificate(user: &str) -> Self {
        Self::new(
            SqlState::INVALID_AUTHORIZATION,
            format!("certificate authentication failed for user \"{user}\""),
        )
        .hint("The common name of the client's certificate must be the user's name.")
    }

    pub(crate) fn password_needs_tls() -> Self {
        let message = "passwords are taken in the clear over TLS only";
        Self::new(SqlState::INVALID_AUTHORIZATION, message)
            .hint("Connect with sslmode=require or better.")
    }

    pub(crate) fn too_many_failures(delay: Duration) -> Self {
        let seconds = delay.as_secs() + 1;
        Self::new(
            SqlState::INVALID_AUTHORIZATION,
            format!("too many failed logins from this address; try again in {seconds} s"),
        )
        .hint("The limit is login_failures_per_minute_max.")
    }

    pub(crate) fn auth_query(error: &Unavailable) -> Self {
        let refusal = Self::unavailable(error);
        let message = format!("could not look the user up: {}", refusal.message);
        refusal.message(message)
    }

    pub(crate) fn no_user() -> Self {
        Self::new(
            SqlState::INVALID_AUTHORIZATION,
            "no user name given in the startup packet",
        )
    }

    pub(crate) fn too_many_encryption_requests() -> Self {
        let message = "encryption was asked for again after it had been refused";
        Self::new(SqlState::PROTOCOL_VIOLATION, message)
    }

    pub(crate) fn data_before_tls() -> Self {
        let message = "unencrypted data came behind the request for TLS";
        Self::new(SqlState::PROTOCOL_VIOLATION, message)
            .hint("That is a fault of the client, or somebody in between has put it there.")
    }

    pub(crate) fn no_alpn() -> Self {
        let message = "a direct TLS connection must name the protocol (ALPN) postgresql";
        Self::new(SqlState::PROTOCOL_VIOLATION, message)
    }

    pub(crate) fn tls_required() -> Self {
        let message = "connections in the clear are not let in (tls_mode)";
        Self::new(SqlState::INVALID_AUTHORIZATION, message)
            .hint("Connect with sslmode=require or better.")
    }

    pub(crate) fn login_timeout() -> Self {
        Self::new(
            SqlState::INVALID_AUTHORIZATION,
            "the client took too long to log in",
        )
    }
}
