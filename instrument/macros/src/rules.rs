//! What a test asks for beyond its runtime: `max_poll`, `deny(..)`, `allow(..)` and
//! `timeout`.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::{Attribute, Error, Ident, Result};

use crate::facade::Facade;
use crate::settings::Setting;

/// The arguments that this module reads.
pub(crate) const ACCEPTED: &[&str] = &["max_poll", "deny", "allow", "timeout"];

/// The finding codes, as identifiers.
const CODES: &[&str] = &[
    "slow_poll",
    "starved_worker",
    "never_awaited",
    "task_dropped_pending",
    "task_leaked",
    "panic_unobserved",
    "nested_block_on",
    "blocking_pool_saturated",
    "blocking_outlives_runtime",
    "self_wake",
    "lost_waker",
    "never_yielded",
    "large_future",
    "unjoined",
    "timer_burst",
    "async_contention",
];

/// Shortest limit of a poll: asyncwatch looks no more often.
const MAX_POLL_MIN_NS: u64 = 1_000_000;

/// The rules of one test.
#[derive(Default)]
pub(crate) struct Rules {
    max_poll_ns: Option<u64>,
    timeout_ns: Option<u64>,
    deny: Vec<&'static str>,
    allow: Vec<&'static str>,
}

impl Rules {
    /// Reads the settings that are rules; `None` if there are none.
    pub(crate) fn read(settings: &[Setting]) -> Result<Option<Self>> {
        let mut rules = Self::default();
        let mut any = false;
        for setting in settings {
            any |= ACCEPTED.contains(&setting.name());
            match setting.name() {
                "max_poll" => rules.max_poll_ns = Some(max_poll(setting)?),
                "timeout" => rules.timeout_ns = Some(duration(setting)?),
                "deny" => rules.deny = codes(setting)?,
                "allow" => rules.allow = codes(setting)?,
                _ => {}
            }
        }
        for setting in settings.iter().filter(|setting| setting.name() == "allow") {
            rules.check_allowed(setting)?;
        }
        Ok(any.then_some(rules))
    }

    /// What is allowed cannot be denied as well.
    fn check_allowed(&self, setting: &Setting) -> Result<()> {
        for (code, span) in setting.words()? {
            let code = known(&code, span)?;
            if self.deny.contains(&code) {
                let message = format!("`{code}` is denied and allowed: remove one");
                return Err(Error::new(span, message));
            }
            if code == "slow_poll" && self.max_poll_ns.is_some() {
                let message = "`max_poll` makes a slow poll fail the test, `allow(slow_poll)` lets it pass: remove one";
                return Err(Error::new(span, message));
            }
        }
        Ok(())
    }

    /// Rejects `#[should_panic]`, which would take the failure for what it waits for.
    pub(crate) fn check_attributes(&self, attributes: &[Attribute]) -> Result<()> {
        let fails =
            self.max_poll_ns.is_some() || self.timeout_ns.is_some() || !self.deny.is_empty();
        let should_panic = attributes
            .iter()
            .find(|attribute| attribute.path().is_ident("should_panic"));
        match should_panic {
            Some(attribute) if fails => Err(Error::new_spanned(
                attribute,
                "`max_poll`, `deny` and `timeout` fail a test by a panic, and `#[should_panic]` would let that pass: expect the panic in the body, as in `tokio::spawn(..).await.unwrap_err()`",
            )),
            _ => Ok(()),
        }
    }

    /// The rules as a value, of the test `name`.
    pub(crate) fn value(&self, facade: &Facade, name: &str) -> TokenStream {
        let private = facade.private();
        let time = |ns: Option<u64>| match ns {
            Some(ns) => {
                quote!(::core::option::Option::Some(::core::time::Duration::from_nanos(#ns)))
            }
            None => quote!(::core::option::Option::None),
        };
        let codes = |codes: &[&str]| {
            let variants = codes.iter().map(|code| variant(code));
            quote!(&[#(#private::Code::#variants),*])
        };
        let (max_poll, timeout) = (time(self.max_poll_ns), time(self.timeout_ns));
        let (deny, allow) = (codes(&self.deny), codes(&self.allow));
        quote! {
            #private::Rules {
                name: ::core::concat!(::core::module_path!(), "::", #name),
                max_poll: #max_poll,
                deny: #deny,
                allow: #allow,
                timeout: #timeout,
            }
        }
    }
}

fn codes(setting: &Setting) -> Result<Vec<&'static str>> {
    let words = setting.words()?;
    let mut codes = Vec::new();
    for (word, span) in words {
        let code = known(&word, span)?;
        if codes.contains(&code) {
            return Err(Error::new(span, format!("`{code}` is given twice")));
        }
        codes.push(code);
    }
    Ok(codes)
}

/// The code that is written `slow_poll`, or `"slow-poll"` as elsewhere.
fn known(word: &str, span: Span) -> Result<&'static str> {
    let word = word.replace('-', "_");
    let code = CODES.iter().find(|code| **code == word);
    code.copied().ok_or_else(|| {
        let message = format!("no such finding code, known are {}", CODES.join(", "));
        Error::new(span, message)
    })
}

/// `slow_poll` as the enum has it: `SlowPoll`.
fn variant(code: &str) -> Ident {
    let capital = |word: &str| {
        let (first, rest) = word.split_at(1);
        first.to_uppercase() + rest
    };
    format_ident!("{}", code.split('_').map(capital).collect::<String>())
}

fn max_poll(setting: &Setting) -> Result<u64> {
    match duration(setting)? {
        MAX_POLL_MIN_NS.. => duration(setting),
        _ => Err(setting.error("the shortest limit of a poll is \"1ms\"")),
    }
}

/// A duration above zero, in nanoseconds.
fn duration(setting: &Setting) -> Result<u64> {
    let text = setting.string().unwrap_or_default();
    parse(&text).ok_or_else(|| {
        setting.error(&format!(
            "`{}` takes a duration in quotes, such as \"20ms\" or \"1.5s\"",
            setting.name()
        ))
    })
}

fn parse(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(digits);
    let unit_ns = match unit.trim() {
        "ns" => 1.0,
        "us" | "µs" => 1e3,
        "ms" => 1e6,
        "s" | "sec" => 1e9,
        "m" | "min" => 60e9,
        _ => return None,
    };
    let ns = number.parse::<f64>().ok()? * unit_ns;
    (1.0..u64::MAX as f64).contains(&ns).then_some(ns as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        assert_eq!(parse("20ms"), Some(20_000_000));
        assert_eq!(parse(" 1.5 s "), Some(1_500_000_000));
        assert_eq!(parse("2min"), Some(120_000_000_000));
        for wrong in ["", "20", "ms", "0s", "-1s", "1.2.3s", "1 fortnight", "9e9s"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn codes_are_the_names_of_variants() {
        assert_eq!(variant("nested_block_on"), "NestedBlockOn");
        assert_eq!(variant("unjoined"), "Unjoined");
    }
}
