//! The runtime that the arguments of `main` and `test` describe.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Path, Result};

use crate::facade::Facade;
use crate::rules::{self, Rules};
use crate::settings::Setting;

/// The arguments of both macros; a test has its [`rules`] besides.
const ACCEPTED: &[&str] = &[
    "flavor",
    "worker_threads",
    "start_paused",
    "unhandled_panic",
    "name",
    "crate",
    "asyncwatch",
];

/// Which of the two macros is at work.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    Main,
    Test,
}

impl Entry {
    /// The macro as users write it.
    pub(crate) fn attribute(self) -> &'static str {
        match self {
            Self::Main => "#[asyncwatch::main]",
            Self::Test => "#[asyncwatch::test]",
        }
    }

    /// Reads the arguments of the macro.
    fn settings(self, args: TokenStream) -> Result<Vec<Setting>> {
        let of_tests = match self {
            Self::Main => &[],
            Self::Test => rules::ACCEPTED,
        };
        let accepted: Vec<&str> = ACCEPTED.iter().chain(of_tests).copied().collect();
        Setting::parse_all(args, &accepted)
    }

    fn default_flavor(self) -> Flavor {
        match self {
            Self::Main => Flavor::MultiThread,
            Self::Test => Flavor::CurrentThread,
        }
    }
}

/// The runtime to build, and where the crates it comes from are found.
pub(crate) struct RuntimeOptions {
    pub(crate) facade: Facade,
    flavor: Flavor,
    tokio: Option<Path>,
    /// Calls on the builder that the arguments ask for, in their order.
    calls: Vec<TokenStream>,
    /// What a test asks for besides.
    pub(crate) rules: Option<Rules>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Flavor {
    MultiThread,
    CurrentThread,
    Local,
}

impl RuntimeOptions {
    /// What holds without any argument.
    pub(crate) fn default_for(entry: Entry) -> Self {
        Self {
            facade: Facade::default(),
            flavor: entry.default_flavor(),
            tokio: None,
            calls: Vec::new(),
            rules: None,
        }
    }

    /// Reads the arguments of the macro.
    pub(crate) fn parse(entry: Entry, args: TokenStream) -> Result<Self> {
        let settings = entry.settings(args)?;
        let mut options = Self::default_for(entry);
        for setting in &settings {
            options.place(setting)?;
        }
        for setting in &settings {
            options.configure(entry, setting)?;
        }
        options.rules = Rules::read(&settings)?;
        Ok(options)
    }

    /// The constructor of the runtime's builder.
    pub(crate) fn new_builder(&self) -> TokenStream {
        let tokio = self.tokio();
        match self.flavor {
            Flavor::MultiThread => quote!(#tokio::runtime::Builder::new_multi_thread()),
            Flavor::CurrentThread | Flavor::Local => {
                quote!(#tokio::runtime::Builder::new_current_thread())
            }
        }
    }

    /// The calls that configure the builder: `.worker_threads(4).name("io")`.
    pub(crate) fn builder_calls(&self) -> TokenStream {
        self.calls.iter().cloned().collect()
    }

    /// The call that makes a runtime of the builder.
    pub(crate) fn build_call(&self) -> TokenStream {
        match self.flavor {
            Flavor::MultiThread | Flavor::CurrentThread => quote!(build()),
            Flavor::Local => quote!(build_local(::core::default::Default::default())),
        }
    }

    /// Settings that others depend on: the flavor and the crates.
    fn place(&mut self, setting: &Setting) -> Result<()> {
        match setting.name() {
            "flavor" => self.flavor = flavor(setting)?,
            "crate" => self.tokio = Some(setting.path()?),
            "asyncwatch" => self.facade = Facade::renamed(setting.path()?),
            _ => {}
        }
        Ok(())
    }

    /// Settings that become a call on the builder.
    fn configure(&mut self, entry: Entry, setting: &Setting) -> Result<()> {
        let span = Span::call_site().located_at(setting.span());
        let call = match setting.name() {
            "worker_threads" => {
                self.require(entry, setting, self.flavor == Flavor::MultiThread)?;
                let threads = setting.positive()?;
                quote_spanned!(span=> .worker_threads(#threads))
            }
            "start_paused" => {
                self.require(entry, setting, self.flavor != Flavor::MultiThread)?;
                let paused = setting.boolean()?;
                quote_spanned!(span=> .start_paused(#paused))
            }
            "unhandled_panic" => {
                self.require(entry, setting, self.flavor != Flavor::MultiThread)?;
                let behavior = self.unhandled_panic(setting)?;
                quote_spanned!(span=> .unhandled_panic(#behavior))
            }
            "name" => {
                let name = setting.string()?;
                quote_spanned!(span=> .name(#name))
            }
            _ => return Ok(()),
        };
        self.calls.push(call);
        Ok(())
    }

    /// Rejects a setting that the chosen flavor has no use for.
    fn require(&self, entry: Entry, setting: &Setting, fits: bool) -> Result<()> {
        if fits {
            return Ok(());
        }
        let wanted = match self.flavor {
            Flavor::MultiThread => "current_thread",
            Flavor::CurrentThread | Flavor::Local => "multi_thread",
        };
        let name = setting.name();
        let attribute = entry.attribute().trim_end_matches(']');
        Err(setting.error(&format!(
            "`{name}` needs the `{wanted}` flavor: `{attribute}(flavor = \"{wanted}\", {name} = ..)]`"
        )))
    }

    fn unhandled_panic(&self, setting: &Setting) -> Result<TokenStream> {
        let tokio = self.tokio();
        let behavior = match setting.string()?.as_str() {
            "ignore" => quote!(Ignore),
            "shutdown_runtime" => quote!(ShutdownRuntime),
            _ => {
                return Err(setting.error(
                    "no such behavior, `unhandled_panic` is \"ignore\" or \"shutdown_runtime\"",
                ));
            }
        };
        Ok(quote!(#tokio::runtime::UnhandledPanic::#behavior))
    }

    fn tokio(&self) -> TokenStream {
        let private = self.facade.private();
        match &self.tokio {
            Some(path) => quote!(#path),
            None => quote!(#private::tokio),
        }
    }
}

fn flavor(setting: &Setting) -> Result<Flavor> {
    match setting.string()?.as_str() {
        "multi_thread" => Ok(Flavor::MultiThread),
        "current_thread" => Ok(Flavor::CurrentThread),
        "local" => Ok(Flavor::Local),
        _ => Err(setting.error(
            "no such flavor, the runtime flavors are \"multi_thread\", \"current_thread\" and \"local\"",
        )),
    }
}
