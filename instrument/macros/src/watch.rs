//! `watch`: finds the functions in an item and has each rewritten.
//!
//! Another attribute macro may stand on the same function. It should see the
//! function as it was written, so `watch` steps back behind it: it puts itself
//! last on the list of attributes and is called again when the others are done.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::visit_mut::{self, VisitMut};
use syn::{
    Attribute, Block, Error, ImplItemFn, Item, ItemFn, ItemImpl, ItemMod, ItemTrait, Result,
    Signature, TraitItemFn, Type,
};

use crate::attributes;
use crate::facade::Facade;
use crate::function::Function;
use crate::settings::Setting;

/// Names with a leading underscore are notes to ourselves from an earlier call.
const ACCEPTED: &[&str] = &["asyncwatch", "__after_others", "__owner"];

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
    let options = Options::parse(args)?;
    if !enabled {
        return Ok(item.clone());
    }
    let mut item: Item = syn::parse2(item.clone())?;
    let after_others = options.after_others;
    let mut watcher = Watcher::new(options);
    check_kind(&item)?;
    watcher.visit_item_mut(&mut item);
    match &item {
        Item::Fn(function) if !watcher.found && !after_others => Err(Error::new_spanned(
            function.sig.fn_token,
            "`#[asyncwatch::watch]` needs an `async fn`: this function makes no future",
        )),
        _ => Ok(item.into_token_stream()),
    }
}

fn check_kind(item: &Item) -> Result<()> {
    match item {
        Item::Fn(_) | Item::Impl(_) | Item::Trait(_) => Ok(()),
        // Syntax that syn does not know: a trait's function without a body.
        Item::Verbatim(_) => Ok(()),
        Item::Mod(module) if module.content.is_some() => Ok(()),
        other => Err(Error::new_spanned(
            other,
            "`#[asyncwatch::watch]` goes on an `async fn`, an `impl`, a `trait` or an inline `mod`",
        )),
    }
}

#[derive(Default)]
struct Options {
    facade: Facade,
    after_others: bool,
    owner: Option<String>,
}

impl Options {
    fn parse(args: TokenStream) -> Result<Self> {
        let mut options = Self::default();
        for setting in Setting::parse_all(args, ACCEPTED)? {
            match setting.name() {
                "asyncwatch" => options.facade = Facade::renamed(setting.path()?),
                "__after_others" => options.after_others = true,
                _ => options.owner = Some(setting.string()?),
            }
        }
        Ok(options)
    }
}

/// Walks an item and rewrites the functions in it.
struct Watcher {
    facade: Facade,
    owner: Option<String>,
    /// Whether the next item may be left to other macros first: not if it has
    /// been before.
    may_step_back: bool,
    /// Whether any function was met that makes a future.
    found: bool,
}

impl VisitMut for Watcher {
    fn visit_item_fn_mut(&mut self, function: &mut ItemFn) {
        self.visit_function(&mut function.attrs, &mut function.sig, &mut function.block);
    }

    fn visit_impl_item_fn_mut(&mut self, function: &mut ImplItemFn) {
        self.visit_function(&mut function.attrs, &mut function.sig, &mut function.block);
    }

    fn visit_trait_item_fn_mut(&mut self, function: &mut TraitItemFn) {
        match &mut function.default {
            Some(block) => self.visit_function(&mut function.attrs, &mut function.sig, block),
            None => drop(attributes::take_watch(&mut function.attrs)),
        }
    }

    fn visit_item_impl_mut(&mut self, item: &mut ItemImpl) {
        if self.steps_back(&mut item.attrs) {
            return;
        }
        let owner = type_name(&item.self_ty);
        self.within(Some(owner), |watcher| {
            visit_mut::visit_item_impl_mut(watcher, item);
        });
    }

    fn visit_item_trait_mut(&mut self, item: &mut ItemTrait) {
        if self.steps_back(&mut item.attrs) {
            return;
        }
        let owner = item.ident.to_string();
        self.within(Some(owner), |watcher| {
            visit_mut::visit_item_trait_mut(watcher, item);
        });
    }

    fn visit_item_mod_mut(&mut self, item: &mut ItemMod) {
        if self.steps_back(&mut item.attrs) {
            return;
        }
        self.within(None, |watcher| visit_mut::visit_item_mod_mut(watcher, item));
    }
}

impl Watcher {
    fn new(options: Options) -> Self {
        Self {
            facade: options.facade,
            owner: options.owner,
            may_step_back: !options.after_others,
            found: false,
        }
    }

    fn visit_function(
        &mut self,
        attrs: &mut Vec<Attribute>,
        sig: &mut Signature,
        block: &mut Block,
    ) {
        if sig.asyncness.is_some() && self.steps_back(attrs) {
            return;
        }
        attributes::take_watch(attrs);
        self.within(None, |watcher| watcher.visit_block_mut(block));
        let function = Function {
            attrs,
            sig,
            block,
            owner: self.owner.as_deref(),
            facade: &self.facade,
        };
        self.found |= function.rewrite();
    }

    /// Leaves the item to the other attribute macros on it, if there are any,
    /// and to be called again after them.
    fn steps_back(&mut self, attrs: &mut Vec<Attribute>) -> bool {
        attributes::take_watch(attrs);
        let may_step_back = std::mem::replace(&mut self.may_step_back, true);
        if !may_step_back || !attrs.iter().any(attributes::is_macro) {
            return false;
        }
        attrs.push(self.call_again());
        self.found = true;
        true
    }

    fn call_again(&self) -> Attribute {
        let facade = &self.facade;
        let owner = self.owner.iter();
        let renamed = self.facade.given();
        let renamed = renamed.iter();
        syn::parse_quote! {
            #[#facade::watch(__after_others #(, __owner = #owner)* #(, asyncwatch = #renamed)*)]
        }
    }

    /// Walks what belongs to `owner`.
    fn within(&mut self, owner: Option<String>, walk: impl FnOnce(&mut Self)) {
        let outer = std::mem::replace(&mut self.owner, owner);
        walk(self);
        self.owner = outer;
    }
}

/// The type without its generic arguments, as it is shown to people.
fn type_name(ty: &Type) -> String {
    match ty {
        Type::Path(ty) => {
            let segments = ty.path.segments.iter();
            let names: Vec<String> = segments.map(|segment| segment.ident.to_string()).collect();
            names.join("::")
        }
        Type::Reference(ty) => type_name(&ty.elem),
        Type::Group(ty) => type_name(&ty.elem),
        Type::Paren(ty) => type_name(&ty.elem),
        other => other.to_token_stream().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proc_macro2::TokenStream;
    use quote::quote;

    use super::expand;

    fn disabled(args: TokenStream, item: TokenStream) -> String {
        expand(false, args, item).to_string()
    }

    fn enabled(args: TokenStream, item: TokenStream) -> String {
        expand(true, args, item).to_string()
    }

    #[test]
    fn disabled_it_gives_the_item_back() {
        let item = quote!(
            pub async fn load<'a>(&'a self) -> u8 {
                select! {}
            }
        );
        assert_eq!(disabled(quote!(), item.clone()), item.to_string());
        let renamed = quote!(asyncwatch = "other::path");
        assert_eq!(disabled(renamed, item.clone()), item.to_string());
    }

    #[test]
    fn disabled_it_still_reads_its_arguments() {
        let expanded = disabled(
            quote!(deep),
            quote!(
                async fn f() {}
            ),
        );
        assert!(expanded.starts_with("async fn f () { }"), "{expanded}");
        assert!(expanded.contains("compile_error"), "{expanded}");
    }

    #[test]
    fn it_stays_behind_other_macros_once() {
        let item = quote!(
            #[cached]
            #[inline]
            async fn f() {}
        );
        let first = enabled(quote!(), item);
        let behind = "# [cached] # [inline] # [:: asyncwatch :: watch (__after_others)] async fn";
        assert!(first.starts_with(behind), "{first}");
        let again = enabled(
            quote!(__after_others),
            quote!(
                #[unknown]
                async fn f() {}
            ),
        );
        assert!(
            again.contains("impl :: core :: future :: Future"),
            "{again}"
        );
    }

    #[test]
    fn a_method_that_waits_remembers_its_type_and_the_facade() {
        let item = quote!(
            impl<T> Load for db::Session<T> {
                #[cached]
                async fn f(&self) {}
            }
        );
        let expanded = enabled(quote!(asyncwatch = "other"), item);
        let behind = r#"# [other :: watch (__after_others , __owner = "db::Session" , asyncwatch = "other")]"#;
        assert!(expanded.contains(behind), "{expanded}");
    }

    #[test]
    fn it_never_wraps_twice() {
        let once = enabled(
            quote!(),
            quote!(
                async fn f(_: u8) -> u8 {
                    1
                }
            ),
        );
        let item: TokenStream = once.parse().expect("what it generates is Rust");
        assert_eq!(enabled(quote!(), item), once);
    }

    #[test]
    fn what_cannot_be_watched_stays() {
        for item in [
            quote!(
                async extern "C" fn f() {}
            ),
            quote!(
                trait T {
                    async fn f(&self);
                    fn g() -> u8 {
                        1
                    }
                }
            ),
            quote!(
                async fn f(&self);
            ),
        ] {
            assert_eq!(enabled(quote!(), item.clone()), item.to_string());
        }
    }
}
