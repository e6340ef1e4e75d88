//! Where the database is, and how connections to it are made.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{SslMode, TargetSessionAttrs};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// When a silent connection is probed, so that a lost server is noticed.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// How a connection is protected, as `sslmode` of PostgreSQL's own clients says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::EnumString)]
#[strum(serialize_all = "kebab-case")]
pub enum TlsMode {
    /// Not encrypted.
    Disable,
    /// Encrypted. The certificate is not checked, so an attacker on the network can take the place
    /// of the server.
    Require,
    /// Encrypted, with a certificate that is valid for the name of the host.
    VerifyFull,
}

/// The URL of a database, without a password.
#[derive(Clone)]
pub struct DatabaseUrl {
    config: Config,
    /// How connections are protected.
    pub tls: TlsMode,
    /// The certificates that are trusted (PEM); without it, those of the system.
    pub ca_file: Option<PathBuf>,
}

/// Why a URL is invalid. The messages do not repeat the URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It has another scheme.
    #[error("it must begin with postgres://")]
    Scheme,
    /// It contains a password.
    #[error("it must not contain a password: use --store-password-file or PGPASSWORD")]
    Password,
    /// It names no user.
    #[error("it must name a user: postgres://USER@HOST/DATABASE")]
    NoUser,
    /// It names no database.
    #[error("it must name a database: postgres://USER@HOST/DATABASE")]
    NoDatabase,
    /// `sslmode` has another value.
    #[error("sslmode must be disable, require or verify-full")]
    TlsMode,
    /// The rest of the URL is invalid.
    #[error("{0}")]
    Invalid(String),
}

impl FromStr for DatabaseUrl {
    type Err = UrlError;

    /// Parses `postgres://user@host:port,host:port/database?sslmode=verify-full&sslrootcert=FILE`.
    /// Without `sslmode`, it is `verify-full`.
    fn from_str(text: &str) -> Result<Self, UrlError> {
        let is_ours =
            ["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme));
        if !is_ours {
            return Err(UrlError::Scheme);
        }
        let (base, query) = text.split_once('?').unwrap_or((text, ""));
        let (mut tls, mut ca_file, mut rest) = (TlsMode::VerifyFull, None, Vec::new());
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("sslmode", mode)) => tls = mode.parse().map_err(|_| UrlError::TlsMode)?,
                Some(("sslrootcert", file)) => {
                    let file = percent_encoding::percent_decode_str(file).decode_utf8();
                    let file = file.map_err(|error| UrlError::Invalid(error.to_string()))?;
                    ca_file = Some(PathBuf::from(&*file));
                }
                _ => rest.push(pair),
            }
        }
        let rest = if rest.is_empty() { base.into() } else { format!("{base}?{}", rest.join("&")) };
        let config = rest.parse::<Config>();
        let config = config.map_err(|error| UrlError::Invalid(super::failure::text(&error)))?;
        if config.get_password().is_some() {
            return Err(UrlError::Password);
        }
        if config.get_user().is_none_or(str::is_empty) {
            return Err(UrlError::NoUser);
        }
        if config.get_dbname().is_none_or(str::is_empty) {
            return Err(UrlError::NoDatabase);
        }
        Ok(Self { config, tls, ca_file })
    }
}

impl DatabaseUrl {
    /// The settings of a new connection. With several hosts, it is made to the one that accepts
    /// writes.
    pub(super) fn config(&self, password: Option<&[u8]>) -> Config {
        let mut config = self.config.clone();
        config
            .application_name("webhook-operator")
            .connect_timeout(CONNECT_TIMEOUT)
            .keepalives_idle(KEEPALIVE)
            .keepalives_interval(KEEPALIVE)
            .keepalives_retries(2)
            .target_session_attrs(TargetSessionAttrs::ReadWrite)
            .ssl_mode(match self.tls {
                TlsMode::Disable => SslMode::Disable,
                TlsMode::Require | TlsMode::VerifyFull => SslMode::Require,
            });
        if let Some(password) = password {
            config.password(password);
        }
        config
    }
}

/// Without anything that may be secret.
impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The hosts and the database, for messages.
impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use tokio_postgres::config::Host;
        let hosts = self.config.get_hosts().iter().map(|host| match host {
            Host::Tcp(host) => host.clone(),
            Host::Unix(folder) => folder.display().to_string(),
        });
        let hosts: Vec<_> = hosts.collect();
        write!(f, "{}/{}", hosts.join(","), self.config.get_dbname().unwrap_or_default())
    }
}

/// Where the password of the database is.
#[derive(Clone)]
pub enum Password {
    /// The server asks for none.
    None,
    /// The password.
    Value(String),
    /// A file, which is read for each connection: the password may change.
    File(PathBuf),
}

impl Password {
    /// Reads the password. A line feed at its end is not part of it.
    pub(super) fn read(&self) -> Result<Option<Vec<u8>>, String> {
        match self {
            Self::None => Ok(None),
            Self::Value(value) => Ok(Some(value.clone().into_bytes())),
            Self::File(file) => read(file).map(Some),
        }
    }
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    let mut password =
        std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    while matches!(password.last(), Some(b'\n' | b'\r')) {
        password.pop();
    }
    Ok(password)
}

/// Without the password.
impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Value(_) => "Value",
            Self::File(_) => "File",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_hosts_a_database_and_how_connections_are_protected() {
        let url = |text: &str| text.parse::<DatabaseUrl>();
        let parsed = url("postgres://hooks@a:5432,b:5433/queue?sslrootcert=/c%20a.pem").unwrap();
        assert_eq!(parsed.tls, TlsMode::VerifyFull);
        assert_eq!(parsed.ca_file.as_deref(), Some(Path::new("/c a.pem")));
        assert_eq!(parsed.to_string(), "a,b/queue");
        assert_eq!(parsed.config(None).get_ports(), [5432, 5433]);
        let parsed = url("postgres://hooks@a/queue?sslmode=disable&connect_timeout=1").unwrap();
        assert_eq!((parsed.tls, parsed.ca_file), (TlsMode::Disable, None));
        for (text, error) in [
            ("mysql://a/b", UrlError::Scheme),
            ("postgres://u:secret@a/b", UrlError::Password),
            ("postgres://u@a/b?sslmode=prefer", UrlError::TlsMode),
            ("postgres://a/b", UrlError::NoUser),
            ("postgres://u@a", UrlError::NoDatabase),
        ] {
            assert_eq!(url(text).unwrap_err(), error, "{text}");
        }
        let unknown = url("postgres://u@a/b?unknown=1").unwrap_err();
        assert!(matches!(unknown, UrlError::Invalid(why) if why.contains("unknown")));
    }

    #[test]
    fn a_password_is_read_without_its_line_end_and_never_shown() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "se cret\n").unwrap();
        let password = Password::File(file.path().into());
        assert_eq!(password.read().unwrap().unwrap(), b"se cret");
        std::fs::write(file.path(), "other").unwrap();
        assert_eq!(password.read().unwrap().unwrap(), b"other");
        assert_eq!(format!("{:?}", Password::Value("secret".into())), "Value");
    }
}
