//! What is known of users, what a login needs, and what came of it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use paceline_pgwire::auth::{Md5Hash, Verifier};

use super::Credential;
use super::limiter::Limiter;
use super::query::{Queries, Question};
use super::secret::Secret;
use super::users::{self, Users};
use crate::config::{AuthMethod, Config, Database, DatabaseUrl};
use crate::error::{Error, Refusal};
use crate::files::FileError;
use crate::means::Means;
use crate::settings::Settings;

/// Anybody can fail to log in as often as they like: more than that is not logged.
const WARNING_INTERVAL: Duration = Duration::from_secs(10);

/// Knows who may come in.
pub(crate) struct Authenticator {
    known: RwLock<Arc<Known>>,
    queries: Queries,
    limiter: Limiter,
    means: Arc<Means>,
    /// Gives users who do not exist a salt that stays the same.
    mock_secret: [u8; 32],
    last_warning: Mutex<Option<Instant>>,
}

/// What holds at one time.
pub(crate) struct Known {
    pub(super) config: Arc<Config>,
    users: Users,
    /// What the role that looks users up is given.
    pub(super) looker: Credential,
    /// The passwords in the databases' URLs, in their order.
    url_secrets: Vec<Option<Arc<Secret>>>,
}

impl Known {
    /// Reads the `userlist` file.
    pub(crate) fn read(config: Arc<Config>) -> Result<Arc<Self>, FileError> {
        let secret = |database: &Database| {
            let password = database.url.password.as_deref()?;
            Some(Arc::new(Secret::password(password)))
        };
        Ok(Arc::new(Self {
            users: Users::read(&config)?,
            looker: users::looker(&config)?,
            url_secrets: config.databases.iter().map(secret).collect(),
            config,
        }))
    }

    /// The number of the database that a client wants, of the main one where there is none such: that is told only to those who
    /// may come in. The console is the main one's: whoever another server knows by the name of its user is not that user.
    fn database(&self, name: &str) -> usize {
        if crate::console::is_meant(&self.config, name) {
            return 0;
        }
        self.config.position(name).unwrap_or(0)
    }

    fn url(&self, claim: Claim<'_>) -> DatabaseUrl {
        self.config.databases[self.database(claim.database)].url_of(claim.database)
    }
}

/// Who wants to come in, and where to.
#[derive(Clone, Copy)]
pub(crate) struct Claim<'c> {
    pub(crate) user: &'c str,
    pub(crate) database: &'c str,
    pub(crate) peer: SocketAddr,
    /// Whom the client's certificate names.
    pub(crate) common_name: Option<&'c str>,
    pub(crate) is_encrypted: bool,
    pub(crate) worker: usize,
}

/// How a claim is to be proved.
pub(crate) enum Challenge {
    /// It cannot be.
    Never(Refusal),
    /// It is believed as it is.
    Nothing(Option<Arc<Secret>>),
    /// By SCRAM with this verifier. Without a secret, nobody can.
    Scram(Verifier, Option<Arc<Secret>>),
    /// By md5.
    Md5(Md5Hash, Option<Arc<Secret>>),
    /// By the password itself, which has to fit this verifier, and the hash if there is one.
    Password(Verifier, Option<Arc<Secret>>),
}

/// What is known of a user.
enum Found {
    Secret(Arc<Secret>),
    /// Nobody has to prove anything: there is no password to prove.
    Open,
    Nobody,
}

impl Authenticator {
    pub(crate) fn new(
        known: Arc<Known>,
        means: Arc<Means>,
        neutral: Arc<Settings>,
    ) -> Result<Self, Error> {
        Ok(Self {
            known: RwLock::new(known),
            queries: Queries::new(neutral),
            limiter: Limiter::new(),
            mock_secret: means.random.bytes().map_err(Error::Start)?,
            means,
            last_warning: Mutex::default(),
        })
    }

    /// Something else holds from now on.
    pub(crate) fn exchange(&self, known: Arc<Known>) {
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = known;
        self.queries.forget();
    }

    /// Users are looked up over other connections, and anew.
    pub(crate) fn reconnect(&self) {
        self.queries.forget();
    }

    /// To be called once a second.
    pub(crate) fn round(&self, now: Instant) {
        self.queries.round(now);
    }

    /// How a client has to prove who it is.
    ///
    /// # Errors
    ///
    /// It cannot be asked: too many have failed, there is no TLS, or nobody knows who it is.
    pub(crate) async fn challenge(&self, claim: Claim<'_>) -> Result<Challenge, Refusal> {
        let known = self.known();
        let method = known.config.client_auth.method;
        let user = claim.user;
        let per_minute = known.config.client_auth.failures_per_minute_max;
        let delay = self
            .limiter
            .delay(claim.peer.ip(), user, per_minute, Instant::now());
        if let Some(delay) = delay {
            return Err(Refusal::too_many_failures(delay));
        }
        if method == AuthMethod::Password && !claim.is_encrypted {
            return Err(Refusal::password_needs_tls());
        }
        if method == AuthMethod::Cert {
            if claim.common_name != Some(user) {
                return Ok(Challenge::Never(Refusal::wrong_certificate(user)));
            }
            return Ok(Challenge::Nothing(known.users.get(user).cloned()));
        }
        let secret = match self.find(&known, claim).await? {
            Found::Secret(secret) => Some(secret),
            Found::Open => return Ok(Challenge::Nothing(None)),
            Found::Nobody if method == AuthMethod::Trust => {
                return Ok(Challenge::Never(Refusal::unknown_user(user)));
            }
            Found::Nobody => None,
        };
        if method == AuthMethod::Trust {
            return Ok(Challenge::Nothing(secret));
        }
        if method == AuthMethod::Md5
            && let Some(hash) = self.md5_hash(user, secret.as_deref())
        {
            return Ok(Challenge::Md5(hash, secret));
        }
        let verifier = self.verifier(user, secret.as_ref()).await;
        if method == AuthMethod::Password {
            return Ok(Challenge::Password(verifier, secret));
        }
        // An md5 hash is of no use for SCRAM.
        let secret = secret.filter(|secret| !matches!(**secret, Secret::Md5(_)));
        Ok(Challenge::Scram(verifier, secret))
    }

    /// A client has proved who it is.
    pub(crate) fn note_success(&self, claim: Claim<'_>) {
        self.limiter
            .succeeded(claim.peer.ip(), claim.user, Instant::now());
    }

    /// A client has not proved who it is. It must not learn why; whoever reads the log may.
    pub(crate) fn note_failure(&self, claim: Claim<'_>) {
        let (known, now) = (self.known(), Instant::now());
        let auth = &known.config.client_auth;
        let per_minute = auth.failures_per_minute_max;
        self.limiter
            .failed(claim.peer.ip(), claim.user, per_minute, now);
        if let Some(query) = auth.query() {
            self.queries
                .doubt(&Question::new(query, known.url(claim), claim.user));
        }
        if self.may_warn(now) {
            let (user, peer) = (claim.user, claim.peer);
            let is_configured = known.users.get(user).is_some() || known.url(claim).user == user;
            tracing::warn!(?user, %peer, is_configured, "A client did not prove who it is.");
        }
    }

    /// What is known of a user, from the nearest source that knows anything.
    async fn find(&self, known: &Known, claim: Claim<'_>) -> Result<Found, Refusal> {
        if let Some(secret) = known.users.get(claim.user) {
            return Ok(Found::Secret(Arc::clone(secret)));
        }
        let (url, query) = (known.url(claim), known.config.client_auth.query());
        if url.user == claim.user {
            match &known.url_secrets[known.database(claim.database)] {
                Some(secret) => return Ok(Found::Secret(Arc::clone(secret))),
                // There is one user only, and nothing that it could prove.
                None if known.config.is_open() => return Ok(Found::Open),
                None => {}
            }
        }
        let Some(query) = query else {
            return Ok(Found::Nobody);
        };
        let question = Question::new(query, url, claim.user);
        let asked = self.queries.ask(question, known, &self.means, claim.worker);
        match asked.await {
            Ok(Some(secret)) => Ok(Found::Secret(secret)),
            Ok(None) => Ok(Found::Nobody),
            Err(error) => {
                if self.may_warn(Instant::now()) {
                    tracing::warn!(%error, "Could not look up a user (auth_query).");
                }
                Err(Refusal::auth_query(&error))
            }
        }
    }

    /// What a client has to fit with md5; nothing fits what is made for a user who does not exist.
    fn md5_hash(&self, user: &str, secret: Option<&Secret>) -> Option<Md5Hash> {
        match secret {
            Some(secret) => secret.md5(user),
            None => Some(Md5Hash::from_password(user.as_bytes(), &self.mock_secret)),
        }
    }

    /// What a client has to fit with SCRAM. A user who does not exist gets one like any other.
    async fn verifier(&self, user: &str, secret: Option<&Arc<Secret>>) -> Verifier {
        if let Some(secret) = secret {
            if let Some(verifier) = secret.verifier() {
                return verifier.clone();
            }
            if let (Secret::Password { .. }, Ok(salt)) = (&**secret, self.means.random.bytes()) {
                let work = Arc::clone(secret);
                let made = self
                    .means
                    .hashing
                    .run(move || work.make_verifier(salt))
                    .await;
                if let (Ok(()), Some(verifier)) = (made, secret.verifier()) {
                    return verifier.clone();
                }
            }
        }
        Verifier::mock(&self.mock_secret, user.as_bytes())
    }

    fn known(&self) -> Arc<Known> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn may_warn(&self, now: Instant) -> bool {
        let mut last = self
            .last_warning
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let may = last.is_none_or(|last| now.saturating_duration_since(last) >= WARNING_INTERVAL);
        if may {
            *last = Some(now);
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_fill_no_log() {
        let means = Arc::new(Means::new().unwrap());
        let known = Known::read(Arc::new(Config::default())).unwrap();
        let neutral = crate::settings::SettingsTable::new().neutral();
        let authenticator = Authenticator::new(known, means, neutral).unwrap();
        let start = Instant::now();
        let warned = [0, 1, 9_999, 10_000, 10_001, 20_000]
            .map(|ms| authenticator.may_warn(start + Duration::from_millis(ms)));
        assert_eq!(warned, [true, false, false, true, false, true]);
    }
}
