//! `[postgres]`, as far as it concerns who may come in: TLS towards clients, how they prove who they are, who is known.

use paceline_pgproxy::{AuthMethod, ClientTlsMode};

use super::{Key, key};
use crate::config::draft::Draft;
use crate::config::field::{Field, Text};

pub(super) const KEYS: &[Key] = &[
    key(
        "postgres.tls_certificate",
        Field::Path(|draft| &mut draft.postgres.client_tls.certificate),
        "The certificate that clients are shown, with those that lead to its root (PEM). Without one, clients cannot use TLS.",
    ),
    key(
        "postgres.tls_key",
        Field::Path(|draft| &mut draft.postgres.client_tls.key),
        "The certificate's private key (PEM, without a passphrase).",
    ),
    key(
        "postgres.tls_mode",
        Field::Choice(
            &["disable", "allow", "require", "verify-ca"],
            Text {
                set: |draft, word| {
                    draft.postgres.client_tls.mode = match word {
                        "disable" => ClientTlsMode::Disable,
                        "require" => ClientTlsMode::Require,
                        "verify-ca" => ClientTlsMode::VerifyCa,
                        _ => ClientTlsMode::Allow,
                    };
                    Ok(())
                },
                show: |draft| Some(tls_mode(draft).to_owned()),
            },
        ),
        "Whether clients use TLS: never, as they like, always, or always and with a certificate that `tls_client_ca` vouches for. Without `tls_certificate` there is no TLS, and only the first two are possible.",
    ),
    key(
        "postgres.tls_client_ca",
        Field::Path(|draft| &mut draft.postgres.client_tls.client_ca),
        "The certificates that vouch for those of clients (PEM). With it, clients are asked for theirs, and one that is shown must be right.",
    ),
    key(
        "postgres.auth_method",
        Field::Choice(
            &["scram-sha-256", "md5", "password", "cert", "trust"],
            Text {
                set: |draft, word| {
                    draft.postgres.client_auth.method = match word {
                        "md5" => AuthMethod::Md5,
                        "password" => AuthMethod::Password,
                        "cert" => AuthMethod::Cert,
                        "trust" => AuthMethod::Trust,
                        _ => AuthMethod::ScramSha256,
                    };
                    Ok(())
                },
                show: |draft| Some(auth_method(draft).to_owned()),
            },
        ),
        "How clients prove who they are. `scram-sha-256` is bound to the TLS connection where there is one; `md5` uses SCRAM for users of whom a SCRAM verifier is known; `password` takes the password itself, over TLS only; `cert` takes a TLS certificate whose common name is the user's; `trust` takes every known user's word.",
    ),
    key(
        "postgres.userlist",
        Field::Path(|draft| &mut draft.postgres.client_auth.userlist),
        "A file of users in PgBouncer's format, a line `\"name\" \"password or verifier\"` for each.",
    ),
    key(
        "postgres.auth_user",
        Field::Parsed(
            "the name of a role",
            Text {
                set: |draft, text| {
                    text.clone_into(&mut draft.postgres.client_auth.query.user);
                    Ok(())
                },
                show: |draft| {
                    let user = &draft.postgres.client_auth.query.user;
                    (!user.is_empty()).then(|| user.clone())
                },
            },
        ),
        "The role that looks users up in the database who are known nowhere else, with `auth_query`. Without it nobody is looked up.",
    ),
    key(
        "postgres.auth_password",
        Field::Secret(
            "a password",
            Text {
                set: |draft, text| {
                    draft.postgres.client_auth.query.password = Some(text.to_owned());
                    Ok(())
                },
                show: |draft| {
                    let password = &draft.postgres.client_auth.query.password;
                    password.as_ref().map(|_| "***".to_owned())
                },
            },
        ),
        "The password of `auth_user`.",
    ),
    key(
        "postgres.auth_password_file",
        Field::Path(|draft| &mut draft.postgres.client_auth.query.password_file),
        "A file with the password of `auth_user` in it, instead of `auth_password`.",
    ),
    key(
        "postgres.auth_query",
        Field::Parsed(
            "a query such as \"SELECT usename, passwd FROM pg_shadow WHERE usename = $1\"",
            Text {
                set: |draft, text| {
                    text.clone_into(&mut draft.postgres.client_auth.query.sql);
                    Ok(())
                },
                show: |draft| Some(draft.postgres.client_auth.query.sql.clone()),
            },
        ),
        "How a user is looked up: `$1` is the name; the last column of the row is the password or what is stored of it, or NULL for nobody. It runs with `search_path = pg_catalog`; its answers hold for 30 s, and are asked again after a failed login.",
    ),
    Key {
        path: "postgres.auth_database",
        field: Field::Parsed(
            "the name of a database",
            Text {
                set: |draft, text| {
                    draft.postgres.client_auth.query.database = Some(text.to_owned());
                    Ok(())
                },
                show: |draft| draft.postgres.client_auth.query.database.clone(),
            },
        ),
        default_text: Some("the database that the client asks for"),
        about: "The database in which `auth_query` runs.",
    },
    key(
        "postgres.login_failures_per_minute_max",
        Field::Count(
            |draft| &mut draft.postgres.client_auth.failures_per_minute_max,
            0..=1_000_000,
        ),
        "Failed logins that are taken from one address (IPv6: one /64) before its next ones are refused unheard, and that are forgiven per minute; 0 is no limit. Users who have logged in from there within the hour are counted for themselves.",
    ),
];

fn tls_mode(draft: &Draft) -> &'static str {
    match draft.postgres.client_tls.mode {
        ClientTlsMode::Disable => "disable",
        ClientTlsMode::Allow => "allow",
        ClientTlsMode::Require => "require",
        ClientTlsMode::VerifyCa => "verify-ca",
    }
}

fn auth_method(draft: &Draft) -> &'static str {
    match draft.postgres.client_auth.method {
        AuthMethod::ScramSha256 => "scram-sha-256",
        AuthMethod::Md5 => "md5",
        AuthMethod::Password => "password",
        AuthMethod::Cert => "cert",
        AuthMethod::Trust => "trust",
    }
}
