//! `main` and `test`: an `async fn` becomes a `fn` that runs it on a watched
//! runtime.
//!
//! Which runtime is left to [`crate::options`]; what watching means, to the
//! facade. The expansion is the same whether asyncwatch is enabled or not.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{Attribute, Block, Error, Expr, ItemFn, Result, Stmt};

use crate::body::{self, Output};
use crate::options::{Entry, RuntimeOptions};
use crate::{attributes, skip};

/// Expands the macro. After an error in the arguments the function is expanded
/// with the defaults, so that the error stays the only one.
pub(crate) fn expand(entry: Entry, args: TokenStream, item: TokenStream) -> TokenStream {
    let function: ItemFn = match syn::parse2(item.clone()) {
        Ok(function) => function,
        Err(error) => return with_error(item, &error),
    };
    if let Err(error) = check(entry, &function) {
        return with_error(stand_in(function), &error);
    }
    let options = RuntimeOptions::parse(entry, args).and_then(|options| {
        if let Some(rules) = &options.rules {
            rules.check_attributes(&function.attrs)?;
        }
        Ok(options)
    });
    match options {
        Ok(options) => run_on_runtime(entry, function, &options),
        Err(error) => {
            let options = RuntimeOptions::default_for(entry);
            with_error(run_on_runtime(entry, function, &options), &error)
        }
    }
}

fn check(entry: Entry, function: &ItemFn) -> Result<()> {
    let signature = &function.sig;
    let attribute = entry.attribute();
    if signature.asyncness.is_none() {
        let message = format!(
            "`{attribute}` needs an `async fn`: write `async fn {}`",
            signature.ident
        );
        return Err(Error::new_spanned(signature.fn_token, message));
    }
    if entry == Entry::Main && signature.ident == "main" && !signature.inputs.is_empty() {
        let message = "`main` takes no arguments";
        return Err(Error::new_spanned(&signature.inputs, message));
    }
    let other_test = function.attrs.iter().find(|attr| attributes::is_test(attr));
    match other_test {
        Some(other) if entry == Entry::Test => Err(Error::new_spanned(
            other,
            format!("a second test attribute: `{attribute}` already makes this a test"),
        )),
        _ => Ok(()),
    }
}

fn run_on_runtime(entry: Entry, mut function: ItemFn, options: &RuntimeOptions) -> TokenStream {
    attributes::take_watch(&mut function.attrs);
    let content = content(entry, &mut function, options);
    function.sig.asyncness = None;
    if entry == Entry::Test {
        function
            .attrs
            .push(syn::parse_quote!(#[::core::prelude::v1::test]));
    }
    function.block = Box::new(Block {
        brace_token: function.block.brace_token,
        stmts: vec![Stmt::Expr(Expr::Verbatim(content), None)],
    });
    function.into_token_stream()
}

/// The new content of the function.
fn content(entry: Entry, function: &mut ItemFn, options: &RuntimeOptions) -> TokenStream {
    let private = options.facade.private();
    let [finish, builder, runtime] = ["finish", "builder", "runtime"]
        .map(|name| format_ident!("__asyncwatch_{name}", span = Span::mixed_site()));
    let new_builder = options.new_builder();
    let calls = options.builder_calls();
    let build = options.build_call();
    let watch_builder = match entry {
        Entry::Main => quote!(watch_main_builder),
        Entry::Test => quote!(watch_test_builder),
    };
    let future = root(function, options);
    if let Some(rules) = &options.rules {
        let name = function.sig.ident.to_string();
        let rules = rules.value(&options.facade, &name);
        let at_name = options.facade.private_at(function.sig.ident.span());
        let run = quote_spanned!(function.sig.ident.span()=> #at_name::run_test(#rules, #runtime, || #future));
        return quote! {
            let #finish = #private::Finish;
            let mut #builder = #new_builder;
            #builder.enable_all()#calls;
            #private::#watch_builder(&mut #builder);
            let #runtime = #builder.#build.expect("failed to build the runtime");
            #run
        };
    }
    quote! {
        let #finish = #private::Finish;
        let mut #builder = #new_builder;
        #builder.enable_all()#calls;
        #private::#watch_builder(&mut #builder);
        let #runtime = #private::running(#builder.#build.expect("failed to build the runtime"));
        #runtime.block_on(#future)
    }
}

/// The body as a future, watched as the root. Located at the function's name, so
/// that this is where the root future is said to come from.
fn root(function: &mut ItemFn, options: &RuntimeOptions) -> TokenStream {
    let skips = skip::registrations(&mut function.block, &options.facade);
    let output = Output::of(&function.sig, &options.facade);
    let body = body::typed(&function.block, &output);
    let name = function.sig.ident.to_string();
    let at_body = Span::call_site().located_at(function.block.brace_token.span.open());
    let future = quote_spanned!(at_body=> async { #skips #body });
    let at_name = function.sig.ident.span();
    let private = options.facade.private_at(at_name);
    quote_spanned!(at_name=> #private::root(#future, #name))
}

/// A function of the same name and type, in place of one that cannot be
/// expanded.
fn stand_in(mut function: ItemFn) -> TokenStream {
    function.sig.asyncness = None;
    if function.sig.ident == "main" {
        function.sig.inputs.clear();
    }
    let content = Expr::Verbatim(quote!(loop {}));
    function.block.stmts = vec![Stmt::Expr(content, None)];
    function
        .attrs
        .retain(|attr: &Attribute| !attributes::is_test(attr));
    function.into_token_stream()
}

fn with_error(mut tokens: TokenStream, error: &Error) -> TokenStream {
    tokens.extend(error.to_compile_error());
    tokens
}
