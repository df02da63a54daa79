//! Objects that come and go while the program runs.
#![cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
#![expect(unsafe_code, reason = "loading and unloading an object")]

mod support;

use asyncwatch_stack::{Address, Capturer, Modules, Symboliser};
use std::ptr;

/// A small library that Rust programs do not link.
const LIBRARY: &std::ffi::CStr = c"libBrokenLocale.so.1";

struct Loaded(*mut libc::c_void);

impl Loaded {
    fn new() -> Option<Loaded> {
        // SAFETY: the C library's own objects run nothing surprising on load.
        let handle = unsafe { libc::dlopen(LIBRARY.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        (!handle.is_null()).then_some(Loaded(handle))
    }

    fn address(&self) -> u64 {
        // SAFETY: the handle is open and the name ends with a zero.
        let symbol = unsafe { libc::dlsym(self.0, c"__ctype_get_mb_cur_max".as_ptr()) };
        assert_ne!(symbol, ptr::null_mut());
        symbol as u64
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        // SAFETY: the handle is open, and nothing of the object is in use.
        unsafe { libc::dlclose(self.0) };
    }
}

#[test]
fn what_is_loaded_later_is_seen_and_what_is_unloaded_is_forgotten() {
    let mut modules = Modules::current();
    let mut symboliser = Symboliser::new();
    let mut capturer = Capturer::new().unwrap();
    let (sleeper, _) =
        support::subject(|| std::thread::sleep(std::time::Duration::from_secs(3600)));
    support::wait_for_call(&sleeper, &["nanosleep", "clock_nanosleep"]);
    let Some(library) = Loaded::new() else {
        // Not every system ships it; there is nothing else to load safely.
        return;
    };
    let address = library.address();
    assert_eq!(modules.locate(address), None);
    assert!(modules.refresh());
    let (path, offset) = modules.locate(address).expect("it is loaded");
    assert!(path.ends_with("libBrokenLocale.so.1"), "{path:?}");
    assert!(offset < address);
    let name = &symboliser.resolve(Address::Exact(address))[0].function;
    assert!(name.contains("__ctype_get_mb_cur_max"), "{name}");
    assert!(support::insist(&mut capturer, &sleeper).complete);

    drop(library);
    assert!(modules.refresh());
    assert!(!modules.refresh());
    assert_eq!(modules.locate(address), None);
    let name = &symboliser.resolve(Address::Exact(address))[0].function;
    assert_eq!(*name, format!("{address:#x}"));
    assert!(support::insist(&mut capturer, &sleeper).complete);
}
