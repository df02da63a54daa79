//! The body of an `async fn`, as the content of an `async` block.
//!
//! An async block cannot be told its output type, and it ends its statements
//! and temporaries by other rules than a function body. What is generated here
//! makes up for both: the type is known before the first `?`, the last
//! expression is coerced to it, and temporaries die before the arguments do.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::visit_mut::{self, VisitMut};
use syn::{Block, ReturnType, Type};

use crate::facade::Facade;

/// The output type of an `async fn`, in the places where it has to be written.
pub(crate) struct Output {
    /// For `Future<Output = ..>`.
    pub(crate) named: Type,
    /// For a `let`: with `_` where the type cannot be written. `None` if nothing
    /// of it can.
    hinted: Option<Type>,
}

impl Output {
    /// Reads the type off the function's signature.
    pub(crate) fn of(output: &ReturnType, facade: &Facade) -> Self {
        let named = match output {
            ReturnType::Default => Type::Verbatim(quote!(())),
            ReturnType::Type(_, ty) if matches!(**ty, Type::Never(_)) => never(ty, facade),
            ReturnType::Type(_, ty) => (**ty).clone(),
        };
        let hinted = hint(&named);
        Self { named, hinted }
    }
}

/// The statements that stand for `block` inside an `async` block.
pub(crate) fn typed(block: &Block, output: &Output) -> TokenStream {
    let result = format_ident!("__asyncwatch_output", span = Span::mixed_site());
    let (hint, annotation) = match &output.hinted {
        Some(ty) => (early_return(ty), quote!(: #ty)),
        None => (TokenStream::new(), TokenStream::new()),
    };
    quote! {
        #hint
        let #result #annotation = #block;
        #[allow(unreachable_code, reason = "the body may diverge")]
        #result
    }
}

/// Never runs; tells type inference what the block returns before it meets the
/// body.
fn early_return(ty: &Type) -> TokenStream {
    let result = format_ident!("__asyncwatch_hint", span = Span::mixed_site());
    quote! {
        #[allow(unreachable_code, clippy::diverging_sub_expression, clippy::empty_loop, reason = "never runs")]
        if false {
            let #result: #ty = loop {};
            return #result;
        }
    }
}

/// `!` cannot be written here on stable Rust; a projection that normalises to it
/// can.
fn never(ty: &Type, facade: &Facade) -> Type {
    let private = facade.private();
    let span = Span::call_site().located_at(ty.span());
    Type::Verbatim(quote_spanned!(span=> <fn() -> ! as #private::Returns>::Output))
}

fn hint(ty: &Type) -> Option<Type> {
    if matches!(ty, Type::ImplTrait(_)) {
        return None;
    }
    let mut hinted = ty.clone();
    InferOpaque.visit_type_mut(&mut hinted);
    Some(hinted)
}

/// Puts `_` for every `impl Trait`.
struct InferOpaque;

impl VisitMut for InferOpaque {
    fn visit_type_mut(&mut self, ty: &mut Type) {
        if matches!(ty, Type::ImplTrait(_)) {
            *ty = Type::Verbatim(quote!(_));
        } else {
            visit_mut::visit_type_mut(self, ty);
        }
    }
}
