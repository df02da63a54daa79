//! The `name = literal` and `name(word, ..)` lists that the macros take as arguments.
//!
//! Knows the form of an argument and how to say what is wrong with it; what the
//! names mean is left to the macro in question.

use proc_macro2::{Span, TokenStream};
use syn::parse::{ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Error, Expr, ExprLit, Ident, Lit, LitStr, Meta, Path, Result, Token};

/// One argument: `name = value`, `name(word, ..)`, or a bare `name`.
pub(crate) struct Setting {
    name: String,
    name_span: Span,
    value: Option<Lit>,
    words: Vec<Word>,
}

/// A word of a list, bare or in quotes.
type Word = (String, Span);

/// Arguments that are written `name(word, ..)`.
const LISTS: &[&str] = &["deny", "allow"];

impl Setting {
    /// Reads the arguments of a macro, of which `accepted` names those it knows.
    /// Each may be given once.
    pub(crate) fn parse_all(args: TokenStream, accepted: &[&str]) -> Result<Vec<Self>> {
        let metas = Punctuated::<Meta, Token![,]>::parse_terminated.parse2(args)?;
        let mut settings: Vec<Self> = Vec::new();
        for meta in metas {
            let setting = Self::from_meta(meta, accepted)?;
            if settings.iter().any(|earlier| earlier.name == setting.name) {
                return Err(setting.error(&format!("`{}` is given twice", setting.name)));
            }
            settings.push(setting);
        }
        Ok(settings)
    }

    /// The name of the argument.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The span of the value, or of the name where there is none.
    pub(crate) fn span(&self) -> Span {
        self.value.as_ref().map_or(self.name_span, Lit::span)
    }

    /// The value as a string.
    pub(crate) fn string(&self) -> Result<String> {
        match &self.value {
            Some(Lit::Str(text)) => Ok(text.value()),
            _ => Err(self.wrong_value("a string")),
        }
    }

    /// The value as a whole number above zero.
    pub(crate) fn positive(&self) -> Result<usize> {
        let number = match &self.value {
            Some(Lit::Int(number)) => number.base10_parse().unwrap_or(0),
            _ => 0,
        };
        match number {
            0 => Err(self.wrong_value("a whole number above 0")),
            number => Ok(number),
        }
    }

    /// The value as a truth value.
    pub(crate) fn boolean(&self) -> Result<bool> {
        match &self.value {
            Some(Lit::Bool(value)) => Ok(value.value),
            _ => Err(self.wrong_value("`true` or `false`")),
        }
    }

    /// The value as a path, written as a string.
    pub(crate) fn path(&self) -> Result<Path> {
        let path = match &self.value {
            Some(Lit::Str(text)) => text.parse().ok(),
            _ => None,
        };
        path.ok_or_else(|| self.wrong_value("a path in quotes, such as \"my_crate::tokio\""))
    }

    /// The words of a list, of which there is at least one.
    pub(crate) fn words(&self) -> Result<Vec<Word>> {
        if self.words.is_empty() {
            return Err(self.error(&as_list(&self.name)));
        }
        Ok(self.words.clone())
    }

    /// An error about this argument.
    pub(crate) fn error(&self, message: &str) -> Error {
        Error::new(self.span(), message)
    }

    fn wrong_value(&self, wanted: &str) -> Error {
        self.error(&format!("`{}` takes {wanted}", self.name))
    }

    fn from_meta(meta: Meta, accepted: &[&str]) -> Result<Self> {
        let path = meta.path();
        let name = path
            .get_ident()
            .map(ToString::to_string)
            .filter(|name| accepted.contains(&name.as_str()))
            .ok_or_else(|| unknown(path, accepted))?;
        let name_span = path.segments[0].ident.span();
        let (value, words) = match LISTS.contains(&&*name) {
            true => (None, words(meta, &name)?),
            false => (literal(meta, &name)?, Vec::new()),
        };
        Ok(Self {
            name,
            name_span,
            value,
            words,
        })
    }
}

fn as_list(name: &str) -> String {
    format!("`{name}` takes finding codes: `{name}(slow_poll, task_leaked)`")
}

fn words(meta: Meta, name: &str) -> Result<Vec<Word>> {
    let Meta::List(list) = meta else {
        return Err(Error::new_spanned(meta, as_list(name)));
    };
    let words = list
        .parse_args_with(|input: ParseStream<'_>| {
            Punctuated::<Word, Token![,]>::parse_terminated_with(input, word)
        })
        .map_err(|error| Error::new(error.span(), as_list(name)))?;
    Ok(words.into_iter().collect())
}

fn word(input: ParseStream<'_>) -> Result<Word> {
    if input.peek(LitStr) {
        let text: LitStr = input.parse()?;
        return Ok((text.value(), text.span()));
    }
    let ident: Ident = input.parse()?;
    Ok((ident.to_string(), ident.span()))
}

fn literal(meta: Meta, name: &str) -> Result<Option<Lit>> {
    match meta {
        Meta::Path(_) => Ok(None),
        Meta::NameValue(pair) => match pair.value {
            Expr::Lit(ExprLit { lit, .. }) => Ok(Some(lit)),
            other => Err(Error::new_spanned(
                other,
                format!("`{name}` takes a literal value"),
            )),
        },
        Meta::List(list) => Err(Error::new_spanned(
            list,
            format!("`{name}` is written `{name} = ..`"),
        )),
    }
}

fn unknown(path: &Path, accepted: &[&str]) -> Error {
    let listed: Vec<String> = accepted
        .iter()
        .filter(|name| !name.starts_with('_'))
        .map(|name| format!("`{name}`"))
        .collect();
    let message = format!("unknown argument, expected one of {}", listed.join(", "));
    Error::new_spanned(path, message)
}
