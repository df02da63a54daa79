//! `allow_blocking`: a function whose time does not count against polls.
//!
//! An `async fn` is allowed to block in each of its polls; a plain one that returns an
//! `async move` block, in each poll of that. Any other function, while it runs.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::{Error, Expr, ItemFn, LitStr, Path, Result, Token};

use crate::body::{self, Output};
use crate::facade::Facade;
use crate::function::{self, Returned};

/// Expands the macro; gives the item back unchanged if not `enabled`.
pub(crate) fn expand(enabled: bool, args: TokenStream, item: TokenStream) -> TokenStream {
    match try_expand(enabled, args, &item) {
        Ok(expanded) => expanded,
        Err(error) => {
            let error = error.to_compile_error();
            quote!(#item #error)
        }
    }
}

fn try_expand(enabled: bool, args: TokenStream, item: &TokenStream) -> Result<TokenStream> {
    let allowance: Allowance = syn::parse2(args)?;
    let Ok(mut function) = syn::parse2::<ItemFn>(item.clone()) else {
        return Err(Error::new_spanned(
            item,
            "`#[asyncwatch::allow_blocking]` goes on a function",
        ));
    };
    if let Some(constness) = function.sig.constness {
        return Err(Error::new_spanned(
            constness,
            "a `const fn` cannot tell that it runs",
        ));
    }
    if !enabled {
        return Ok(item.clone());
    }
    if function.sig.asyncness.is_some() {
        allowance.wrap_body(&mut function);
    } else if let Some(Returned { future, .. }) = function::returned_block(&mut function.block) {
        *future = Expr::Verbatim(allowance.wrapped(&future.to_token_stream()));
    } else {
        allowance.guard(&mut function);
    }
    Ok(function.into_token_stream())
}

/// The arguments: why blocking is right here, and how the asyncwatch crate is called.
struct Allowance {
    reason: LitStr,
    facade: Facade,
}

impl Parse for Allowance {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        const WANTED: &str =
            "say why blocking is right here: `#[asyncwatch::allow_blocking(\"reason\")]`";
        let reason: LitStr = input
            .parse()
            .map_err(|error| Error::new(error.span(), WANTED))?;
        if reason.value().trim().is_empty() {
            return Err(Error::new_spanned(reason, WANTED));
        }
        let mut facade = Facade::default();
        if input.parse::<Option<Token![,]>>()?.is_some() && !input.is_empty() {
            let name: syn::Ident = input.parse()?;
            if name != "asyncwatch" {
                return Err(Error::new_spanned(
                    name,
                    "unknown argument, expected `asyncwatch = \"path\"`",
                ));
            }
            input.parse::<Token![=]>()?;
            facade = Facade::renamed(input.parse::<LitStr>()?.parse::<Path>()?);
            input.parse::<Option<Token![,]>>()?;
        }
        if !input.is_empty() {
            return Err(input.error("nothing more was expected"));
        }
        Ok(Self { reason, facade })
    }
}

impl Allowance {
    fn wrapped(&self, future: &TokenStream) -> TokenStream {
        let (private, reason) = (self.facade.private(), &self.reason);
        quote!(#private::AllowBlocking::new(#reason, #future))
    }

    fn wrap_body(&self, function: &mut ItemFn) {
        let output = Output::of(&function.sig, &self.facade);
        let body = body::typed(&function.block, &output);
        let at_body = Span::call_site().located_at(function.block.brace_token.span.join());
        let future = self.wrapped(&quote_spanned!(at_body=> async move { #body }));
        function.block.stmts = vec![function::verbatim(quote!(#future.await))];
    }

    fn guard(&self, function: &mut ItemFn) {
        let (private, reason) = (self.facade.private(), &self.reason);
        let allowed = format_ident!("__asyncwatch_allowed", span = Span::mixed_site());
        let begin = quote!(let #allowed = #private::Allowed::begin(#reason););
        function.block.stmts.insert(0, function::verbatim(begin));
    }
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    fn expanded(args: TokenStream, item: TokenStream) -> String {
        expand(true, args, item).to_string()
    }

    #[test]
    fn a_plain_function_is_guarded() {
        let text = expanded(
            quote!("once"),
            quote!(
                fn load() -> u8 {
                    1
                }
            ),
        );
        assert!(
            text.starts_with(
                "fn load () -> u8 { let __asyncwatch_allowed = :: asyncwatch :: __private :: Allowed :: begin (\"once\") ;"
            ),
            "{text}"
        );
    }

    #[test]
    fn what_is_polled_is_wrapped() {
        for item in [
            quote!(
                async fn f() {}
            ),
            quote!(
                fn f() -> Fut {
                    Box::pin(async move {})
                }
            ),
        ] {
            let text = expanded(quote!("once", asyncwatch = "renamed"), item);
            assert!(
                text.contains(
                    "renamed :: __private :: AllowBlocking :: new (\"once\" , async move"
                ),
                "{text}"
            );
        }
    }

    #[test]
    fn disabled_it_gives_the_item_back_but_wants_a_reason() {
        let item = quote!(
            async fn f() {}
        );
        assert_eq!(
            expand(false, quote!("once"), item.clone()).to_string(),
            item.to_string()
        );
        for args in [quote!(), quote!(""), quote!("  "), quote!(once)] {
            let text = expand(false, args, item.clone()).to_string();
            assert!(text.contains("say why"), "{text}");
        }
    }
}
