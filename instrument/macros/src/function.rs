//! One function, rewritten so that its future knows where it was made.
//!
//! An `async fn` becomes
//!
//! ```text
//! #[track_caller]
//! fn load(&self, path: &str) -> impl Future<Output = Row> {
//!     enum __AsyncwatchFn {}
//!     impl WatchedFn for __AsyncwatchFn { const NAME: &str = "app::Session::load"; .. }
//!     OfFn::<__AsyncwatchFn, _>::new(async move {
//!         let _ = &self;
//!         let path = path;
//!         ..
//!     })
//! }
//! ```
//!
//! The type that names the function is declared inside it and so never generic:
//! it adds no lifetime to the future and asks nothing of its drop check.
//! Every argument is bound again inside, `_` too, because that is what moves it
//! into the future and settles when it is dropped: as in an `async fn`.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{
    Attribute, Block, Expr, ExprAsync, ExprPath, FnArg, Ident, Item, Pat, PatIdent, PatType,
    Receiver, Signature, Stmt, Type,
};

use crate::body::{self, Output};
use crate::facade::Facade;
use crate::{attributes, skip};

/// A function of any kind, borrowed from the item it belongs to.
pub(crate) struct Function<'a> {
    pub(crate) attrs: &'a mut Vec<Attribute>,
    pub(crate) sig: &'a mut Signature,
    pub(crate) block: &'a mut Block,
    /// The type or trait it belongs to, as it is shown to people.
    pub(crate) owner: Option<&'a str>,
    pub(crate) facade: &'a Facade,
}

impl Function<'_> {
    /// Rewrites the function if it makes a future, and tells whether it does.
    pub(crate) fn rewrite(mut self) -> bool {
        if is_rewritten(self.block) {
            return true;
        }
        if self.sig.constness.is_some() || self.sig.abi.is_some() {
            return self.sig.asyncness.is_some();
        }
        let skips = skip::registrations(self.block, self.facade);
        if self.sig.asyncness.is_some() {
            self.rewrite_async(&skips);
            return true;
        }
        if !skips.is_empty() {
            prepend(self.block, skips);
        }
        self.wrap_returned_block()
    }

    fn rewrite_async(&mut self, skips: &TokenStream) {
        let output = Output::of(self.sig, self.facade);
        let body = body::typed(self.block, &output);
        let marker = self.marker(false);
        let rebound: TokenStream = self.sig.inputs.iter_mut().enumerate().map(rebind).collect();
        let at_body = Span::call_site().located_at(self.block.brace_token.span.join());
        let future = quote_spanned!(at_body=> async move {
            #rebound
            #skips
            #body
        });
        let wrapped = wrapped(&future, self.facade);
        self.return_future(&output);
        self.block.stmts = vec![verbatim(quote!(#marker #wrapped))];
        self.track_caller();
    }

    /// Turns the signature's `async fn .. -> R` into `fn .. -> impl Future`.
    fn return_future(&mut self, output: &Output) {
        let named = &output.named;
        let at_output = Span::call_site().located_at(self.sig.output.span());
        let future = quote_spanned!(at_output=> impl ::core::future::Future<Output = #named>);
        self.sig.asyncness = None;
        self.sig.output =
            syn::ReturnType::Type(Default::default(), Box::new(Type::Verbatim(future)));
    }

    /// Watches the future of a plain `fn` that ends in `async move { .. }` or
    /// `Box::pin(async move { .. })`.
    fn wrap_returned_block(&mut self) -> bool {
        let Some(Returned { future, boxed }) = returned_block(self.block) else {
            return false;
        };
        let block = future.to_token_stream();
        *future = Expr::Verbatim(wrapped(&block, self.facade));
        let last = self.block.stmts.len() - 1;
        let marker = self.marker(boxed);
        self.block.stmts.insert(last, verbatim(marker));
        self.track_caller();
        true
    }

    /// The declaration of the function's name; `boxed` if it boxes its futures itself.
    fn marker(&self, boxed: bool) -> TokenStream {
        let private = self.facade.private();
        let marker = format_ident!("{MARKER}");
        let owner = self.owner.map(|owner| format!("{owner}::"));
        let name = format!("::{}{}", owner.unwrap_or_default(), self.sig.ident);
        let line = u32::try_from(self.sig.ident.span().start().line).unwrap_or(u32::MAX);
        let boxed = boxed.then(|| {
            quote!(
                const BOXED: bool = true;
            )
        });
        quote! {
            enum #marker {}
            impl #private::WatchedFn for #marker {
                const NAME: &'static str = ::core::concat!(::core::module_path!(), #name);
                const FILE: &'static str = ::core::file!();
                const LINE: u32 = #line;
                #boxed
            }
        }
    }

    fn track_caller(&mut self) {
        let present = |attr: &Attribute| attr.path().is_ident("track_caller");
        if !self.attrs.iter().any(present) {
            self.attrs.push(syn::parse_quote!(#[track_caller]));
        }
    }
}

/// The type that names a function. Also tells a rewritten one from others.
const MARKER: &str = "__AsyncwatchFn";

/// The future as one that knows where it was made.
fn wrapped(future: &TokenStream, facade: &Facade) -> TokenStream {
    let private = facade.private();
    let marker = format_ident!("{MARKER}");
    quote!(#private::OfFn::<#marker, _>::new(#future))
}

/// Whether this macro has been here before, under a name it does not know
/// itself by.
fn is_rewritten(block: &Block) -> bool {
    block.stmts.iter().any(|stmt| match stmt {
        Stmt::Item(Item::Enum(item)) => item.ident == MARKER,
        _ => false,
    })
}

/// Makes sure that the future owns the argument: changes the argument where it
/// needs a name, and gives the statement that binds it inside.
fn rebind((index, argument): (usize, &mut FnArg)) -> TokenStream {
    match argument {
        FnArg::Receiver(receiver) => capture_self(receiver),
        FnArg::Typed(argument) => rebind_typed(index, argument),
    }
}

/// `self` cannot be bound again, but a borrow of the whole of it moves the whole
/// of it in.
fn capture_self(receiver: &Receiver) -> TokenStream {
    let this = receiver.self_token;
    quote!(let _ = &#this;)
}

fn rebind_typed(index: usize, argument: &mut PatType) -> TokenStream {
    let attrs = std::mem::take(&mut argument.attrs);
    let conditions: Vec<Attribute> = attrs
        .iter()
        .filter(|attr| attributes::is_condition(attr))
        .cloned()
        .collect();
    argument.attrs.clone_from(&conditions);
    let pattern = argument.pat.to_token_stream();
    match plain_name(&argument.pat).cloned() {
        Some(name) => {
            *argument.pat = Pat::Verbatim(name.to_token_stream());
            quote! {
                #(#attrs)*
                #[allow(
                    clippy::shadow_same,
                    clippy::used_underscore_binding,
                    clippy::no_effect_underscore_binding,
                    reason = "what an `async fn` does with its arguments, written out"
                )]
                let #pattern = #name;
            }
        }
        None => {
            let name = format_ident!("__asyncwatch_arg{index}", span = Span::mixed_site());
            *argument.pat = Pat::Verbatim(name.to_token_stream());
            let mutability = borrows_mutably(&pattern).then(|| quote!(mut));
            quote! {
                #(#conditions)* let #mutability #name = #name;
                #(#attrs)* let #pattern = #name;
            }
        }
    }
}

/// The name of an argument that is only a name, `mut` or not.
fn plain_name(pattern: &Pat) -> Option<&Ident> {
    match pattern {
        Pat::Ident(PatIdent {
            by_ref: None,
            subpat: None,
            ident,
            ..
        }) => Some(ident),
        _ => None,
    }
}

/// Whether the pattern has a `ref mut` in it.
fn borrows_mutably(pattern: &TokenStream) -> bool {
    let mut after_ref = false;
    pattern.clone().into_iter().any(|tree| match tree {
        TokenTree::Group(group) => borrows_mutably(&group.stream()),
        TokenTree::Ident(word) => {
            let found = after_ref && word == "mut";
            after_ref = word == "ref";
            found
        }
        _ => false,
    })
}

/// An `async move` block that a function returns.
pub(crate) struct Returned<'a> {
    pub(crate) future: &'a mut Expr,
    /// Pinned in a box.
    pub(crate) boxed: bool,
}

/// The `async move` block that the function returns as it is, or pinned in a
/// box.
pub(crate) fn returned_block(block: &mut Block) -> Option<Returned<'_>> {
    let Some(Stmt::Expr(last, None)) = block.stmts.last_mut() else {
        return None;
    };
    let (future, boxed) = match last {
        Expr::Async(_) => (last, false),
        Expr::Call(call) if is_box_pin(&call.func) => (call.args.first_mut()?, true),
        _ => return None,
    };
    match future {
        Expr::Async(ExprAsync {
            capture: Some(_), ..
        }) => Some(Returned { future, boxed }),
        _ => None,
    }
}

fn is_box_pin(function: &Expr) -> bool {
    let Expr::Path(ExprPath { path, .. }) = function else {
        return false;
    };
    let mut backwards = path.segments.iter().rev();
    backwards.next().is_some_and(|last| last.ident == "pin")
        && backwards.next().is_some_and(|owner| owner.ident == "Box")
}

fn prepend(block: &mut Block, statements: TokenStream) {
    block.stmts.insert(0, verbatim(statements));
}

pub(crate) fn verbatim(tokens: TokenStream) -> Stmt {
    Stmt::Expr(Expr::Verbatim(tokens), None)
}
