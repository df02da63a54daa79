//! The address of a watched program, as a user writes it.

use std::{fmt, net::Ipv6Addr, str::FromStr};

const DEFAULT_PORT: u16 = 6670;

/// Host and port of a program's asyncwatch server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    host: String,
    port: u16,
}

impl Target {
    /// The URI to connect to.
    pub(super) fn uri(&self) -> String {
        format!("http://{self}")
    }
}

/// Where an instrumented program listens unless it is told otherwise.
impl Default for Target {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: DEFAULT_PORT,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for Target {
    type Err = BadTarget;

    /// Takes `host:port`, `host`, `:port`, `[::1]:port`, a bare port, each with or
    /// without `http://`. What is missing is taken from the default address.
    fn from_str(text: &str) -> Result<Self, BadTarget> {
        let bad = |why| BadTarget {
            text: text.to_owned(),
            why,
        };
        let rest = without_scheme(text.trim()).map_err(bad)?;
        let (host, port) = split(rest).map_err(bad)?;
        let port = match port {
            None => DEFAULT_PORT,
            Some(port) => parse_port(port).map_err(bad)?,
        };
        let host = if host.is_empty() { "127.0.0.1" } else { host };
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

fn without_scheme(text: &str) -> Result<&str, &'static str> {
    match text.split_once("://") {
        None => Ok(text),
        Some(("http", rest)) => Ok(rest.strip_suffix('/').unwrap_or(rest)),
        Some(("https", _)) => Err("TLS is not supported; use `http://` or plain `host:port`"),
        Some(_) => Err("unknown scheme; use `http://` or plain `host:port`"),
    }
}

fn split(text: &str) -> Result<(&str, Option<&str>), &'static str> {
    if text.is_empty() {
        return Err("it is empty; write `host:port`, such as `127.0.0.1:6670`");
    }
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(("", Some(text)));
    }
    if let Some(rest) = text.strip_prefix('[') {
        return split_v6(rest);
    }
    match text.split_once(':') {
        Some((_, port)) if port.contains(':') => {
            Err("write IPv6 addresses in brackets, such as `[::1]:6670`")
        }
        Some((host, port)) => Ok((host_name(host)?, Some(port))),
        None => Ok((host_name(text)?, None)),
    }
}

fn split_v6(rest: &str) -> Result<(&str, Option<&str>), &'static str> {
    let (host, after) = rest.split_once(']').ok_or("the closing `]` is missing")?;
    if host.parse::<Ipv6Addr>().is_err() {
        return Err("what is in brackets is not an IPv6 address");
    }
    match after.strip_prefix(':') {
        Some(port) => Ok((host, Some(port))),
        None if after.is_empty() => Ok((host, None)),
        None => Err("after `]` only `:port` may follow"),
    }
}

fn host_name(host: &str) -> Result<&str, &'static str> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if host.chars().all(allowed) {
        Ok(host)
    } else {
        Err("the host holds characters that no host name has; write `host:port`")
    }
}

fn parse_port(port: &str) -> Result<u16, &'static str> {
    match port.parse() {
        Ok(0) | Err(_) => Err("the port must be a number from 1 to 65535"),
        Ok(port) => Ok(port),
    }
}

/// An address that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadTarget {
    text: String,
    why: &'static str,
}

impl fmt::Display for BadTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bad address `{}`: {}", self.text, self.why)
    }
}

impl std::error::Error for BadTarget {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> String {
        match text.parse::<Target>() {
            Ok(target) => target.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn every_way_to_write_an_address() {
        assert_eq!(shown("127.0.0.1:6670"), "127.0.0.1:6670");
        assert_eq!(shown("http://127.0.0.1:7000/"), "127.0.0.1:7000");
        assert_eq!(shown(" localhost:6670 "), "localhost:6670");
        assert_eq!(shown("[::1]:6670"), "[::1]:6670");
        assert_eq!(shown("[::1]"), "[::1]:6670");
        assert_eq!(shown("my-host.example"), "my-host.example:6670");
        assert_eq!(shown("7001"), "127.0.0.1:7001");
        assert_eq!(shown(":7001"), "127.0.0.1:7001");
    }

    #[test]
    fn errors_say_what_to_write_instead() {
        insta::assert_snapshot!(
            ["", "::1", "[::1", "[x]:1", "[::1]9", "a b:1", "h:0", "h:70000", "h:x", "https://h", "ftp://h"]
                .map(shown)
                .join("\n"),
            @r"
        bad address ``: it is empty; write `host:port`, such as `127.0.0.1:6670`
        bad address `::1`: write IPv6 addresses in brackets, such as `[::1]:6670`
        bad address `[::1`: the closing `]` is missing
        bad address `[x]:1`: what is in brackets is not an IPv6 address
        bad address `[::1]9`: after `]` only `:port` may follow
        bad address `a b:1`: the host holds characters that no host name has; write `host:port`
        bad address `h:0`: the port must be a number from 1 to 65535
        bad address `h:70000`: the port must be a number from 1 to 65535
        bad address `h:x`: the port must be a number from 1 to 65535
        bad address `https://h`: TLS is not supported; use `http://` or plain `host:port`
        bad address `ftp://h`: unknown scheme; use `http://` or plain `host:port`
        "
        );
    }

    proptest! {
        #[test]
        fn what_is_shown_is_understood(text in "\\PC{0,30}") {
            if let Ok(target) = text.parse::<Target>() {
                prop_assert_eq!(target.to_string().parse::<Target>(), Ok(target));
            }
        }
    }
}
