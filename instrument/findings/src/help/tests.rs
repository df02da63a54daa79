use super::*;
use crate::frames::tests::{fixture, parse};

fn help(called: &str, class: Class) -> String {
    let called = if called.contains(" |") {
        called.to_owned()
    } else {
        format!("{called} |")
    };
    let stack = format!(
        "syscall |\n{called}\napp::work | /home/me/app/src/main.rs:5\ntokio::runtime::task::raw::poll |"
    );
    help_for(&parse(&stack), Some(class)).expect("some help")
}

/// Names as debug builds (v0 and legacy), release builds and C libraries have them:
/// what is called, and words of the advice. A line with a file is an inlined
/// function, of which line tables keep the bare name.
const BLOCKED: &str = "
std::thread::sleep => tokio::time::sleep
std::thread::functions::sleep => tokio::time::sleep
sleep | /rustc/5980/library/std/src/thread/functions.rs:289 => tokio::time::sleep
std::thread::sleep_ms => tokio::time::sleep
std::thread::functions::sleep_until => tokio::time::sleep
std::thread::park_timeout_ms => tokio::time::sleep
<spin_sleep::SpinSleeper>::sleep => tokio::time::sleep
__GI___nanosleep => tokio::time::sleep
clock_nanosleep => tokio::time::sleep
usleep => tokio::time::sleep
sleep => tokio::time::sleep
futures_executor::local_pool::block_on => `block_on` inside a task
futures_executor::local_pool::block_on::<app::load::{async_fn#0}> => `block_on` inside a task
block_on<app::load::{async_fn_env#0}> | REGISTRY/futures-executor-0.3.31/src/local_pool.rs:317 => `block_on` inside a task
futures_executor::local_pool::block_on_stream => `block_on` inside a task
<futures_executor::local_pool::BlockingStream<S> as core::iter::traits::iterator::Iterator>::next => `block_on` inside a task
<futures_executor::local_pool::LocalPool>::run_until => `block_on` inside a task
futures_lite::future::block_on => `block_on` inside a task
pollster::block_on => `block_on` inside a task
<F as pollster::FutureExt>::block_on => `block_on` inside a task
tokio::runtime::handle::Handle::block_on => `block_on` inside a task
<tokio::runtime::handle::Handle>::block_on::<app::load::{async_fn#0}> => `block_on` inside a task
block_on<app::load::{async_fn_env#0}> | REGISTRY/tokio-1.54.1/src/runtime/handle.rs:330 => `block_on` inside a task
tokio::runtime::runtime::Runtime::block_on => `block_on` inside a task
tokio::runtime::local_runtime::runtime::LocalRuntime::block_on => `block_on` inside a task
tokio::task::local::LocalSet::block_on => `block_on` inside a task
tokio_test::block_on => `block_on` inside a task
async_std::task::block_on::block_on => `block_on` inside a task
async_global_executor::executor::block_on => `block_on` inside a task
async_io::block_on => `block_on` inside a task
smol::block_on => `block_on` inside a task
extreme::run => `block_on` inside a task
<(&str, u16) as std::net::socket_addr::ToSocketAddrs>::to_socket_addrs => lookup_host
<str as std::net::socket_addr::ToSocketAddrs>::to_socket_addrs => lookup_host
std::net::LookupHost::try_from => lookup_host
<std::sys::net::connection::LookupHost as core::convert::TryFrom<(&str, u16)>>::try_from => lookup_host
std::sys::net::connection::lookup_host => lookup_host
__GI_getaddrinfo => lookup_host
gethostbyname_r => lookup_host
dns_lookup::lookup::lookup_host => lookup_host
<tokio::net::tcp::stream::TcpStream as tokio::io::AsyncRead>::poll_read => set_nonblocking
mio::net::tcp::stream::TcpStream::peek => set_nonblocking
std::os::unix::net::stream::UnixStream::connect => UnixStream
<std::os::unix::net::datagram::UnixDatagram>::recv => UnixStream
<std::net::tcp::TcpStream>::connect::<&str> => tokio::net
<std::net::tcp::TcpStream as std::io::Read>::read => tokio::net
connect<&str> | /rustc/5980/library/std/src/net/tcp.rs:164 => tokio::net
std::net::udp::UdpSocket::recv => tokio::net
std::sys::net::connection::socket::TcpStream::connect => tokio::net
socket2::socket::Socket::connect => tokio::net
<std::process::Command>::output => tokio::process
output | /rustc/5980/library/std/src/process.rs:1100 => tokio::process
status | /rustc/5980/library/std/src/process.rs:1100 => tokio::process
spawn | /rustc/5980/library/std/src/process.rs:1100 => tokio::process
wait | /rustc/5980/library/std/src/process.rs:1100 => tokio::process
wait_with_output | /rustc/5980/library/std/src/process.rs:1100 => tokio::process
std::process::Child::wait => tokio::process
std::sys::process::unix::unix::Process::wait => tokio::process
duct::Expression::run => tokio::process
subprocess::popen::Popen::wait => tokio::process
xshell::Cmd::run => tokio::process
__GI_waitpid => tokio::process
wait4 => tokio::process
std::io::stdio::Stdin::read_line => stdin
<std::io::stdio::StdinLock as std::io::BufRead>::fill_buf => stdin
std::io::stdio::stdin => stdin
read_line | /rustc/5980/library/std/src/io/stdio.rs:400 => stdin
rpassword::read_password => stdin
dialoguer::prompts::confirm::Confirm::interact => stdin
inquire::prompts::text::Text::prompt => stdin
rustyline::Editor<H,I>::readline => stdin
std::io::stdio::Stdout::lock => holds the lock of the output
<std::io::stdio::Stderr>::lock => holds the lock of the output
<std::sync::reentrant_lock::ReentrantLock<T>>::lock => holds the lock of the output
<std::io::stdio::Stdout as std::io::Write>::write_all => reads this output
<std::io::stdio::StdoutLock as std::io::Write>::flush => reads this output
<std::io::stdio::Stderr as std::io::Write>::write => reads this output
<std::io::stdio::StderrLock as std::io::Write>::write => reads this output
std::io::stdio::_print => reads this output
std::io::stdio::_eprint => reads this output
print_to<std::io::stdio::Stdout> | /rustc/5980/library/std/src/io/stdio.rs:1164 => reads this output
std::fs::write::inner => tokio::fs
write<&str, &[u8]> | /rustc/5980/library/std/src/fs.rs:400 => tokio::fs
<std::fs::File>::sync_all => tokio::fs
std::fs::File::sync_all => tokio::fs
<std::fs::File as std::io::Write>::write => tokio::fs
<&std::fs::File as std::io::Read>::read => tokio::fs
<std::fs::OpenOptions>::open::<&std::path::Path> => tokio::fs
std::path::Path::canonicalize => tokio::fs
<std::path::Path>::exists => tokio::fs
exists | /rustc/5980/library/std/src/path.rs:3000 => tokio::fs
std::path::Path::is_dir => tokio::fs
std::path::Path::is_file => tokio::fs
std::path::Path::is_symlink => tokio::fs
std::path::Path::metadata => tokio::fs
std::path::Path::read_dir => tokio::fs
std::path::Path::read_link => tokio::fs
std::path::Path::symlink_metadata => tokio::fs
std::path::Path::try_exists => tokio::fs
fs_err::file::File::open => tokio::fs
fs_extra::dir::copy => tokio::fs
<std::fs::File as fs2::FileExt>::lock_exclusive => file's lock
fs2::unix::lock_exclusive => file's lock
fs2::unix::allocate => tokio::fs
fs4::unix::sync_impl::lock_exclusive => file's lock
fs4::unix::sync_impl::allocate => tokio::fs
<glob::Paths as core::iter::traits::iterator::Iterator>::next => tokio::fs
<ignore::walk::Walk as core::iter::traits::iterator::Iterator>::next => tokio::fs
memmap2::MmapOptions::map => tokio::fs
tempfile::file::NamedTempFile::new => tokio::fs
<walkdir::IntoIter as core::iter::traits::iterator::Iterator>::next => tokio::fs
<std::sync::mutex::Mutex<T>>::lock => tokio::sync::Mutex
std::sync::poison::mutex::Mutex<T>::lock => tokio::sync::Mutex
<std::sync::poison::mutex::Mutex<i32>>::lock => tokio::sync::Mutex
lock<i32> | /rustc/5980/library/std/src/sync/poison/mutex.rs:500 => tokio::sync::Mutex
std::sys::sync::mutex::futex::Mutex::lock_contended => tokio::sync::Mutex
parking_lot::Mutex::lock => tokio::sync::Mutex
parking_lot::raw_mutex::RawMutex::lock_slow => tokio::sync::Mutex
parking_lot::raw_fair_mutex::RawFairMutex::lock => tokio::sync::Mutex
parking_lot::remutex::RawThreadId::nonzero_thread_id => tokio::sync::Mutex
lock_api::mutex::Mutex<R,T>::lock => tokio::sync::Mutex
<lock_api::mutex::Mutex<parking_lot::raw_mutex::RawMutex, u32>>::lock => tokio::sync::Mutex
lock_api::remutex::ReentrantMutex<R,G,T>::lock => tokio::sync::Mutex
spin::mutex::spin::SpinMutex<T,R>::lock => tokio::sync::Mutex
__GI___pthread_mutex_lock => tokio::sync::Mutex
std::sync::rwlock::RwLock<T>::write => tokio::sync::RwLock
<std::sync::poison::rwlock::RwLock<u8>>::read => tokio::sync::RwLock
<std::sys::sync::rwlock::futex::RwLock>::read_contended => tokio::sync::RwLock
parking_lot::RwLock::read => tokio::sync::RwLock
parking_lot::raw_rwlock::RawRwLock::lock_shared_slow => tokio::sync::RwLock
lock_api::rwlock::RwLock<R,T>::read => tokio::sync::RwLock
spin::rwlock::RwLock<T,R>::write => tokio::sync::RwLock
dashmap::DashMap<K,V,S>::entry => tokio::sync::RwLock
std::sync::poison::condvar::Condvar::wait_timeout => tokio::sync::Notify
std::sys::sync::condvar::futex::Condvar::wait_optional_timeout => tokio::sync::Notify
parking_lot::condvar::Condvar::wait_until_internal => tokio::sync::Notify
parking_lot::Condvar::wait => tokio::sync::Notify
pthread_cond_wait => tokio::sync::Notify
pthread_cond_timedwait => tokio::sync::Notify
<std::sync::barrier::Barrier>::wait => tokio::sync::Barrier
std::sync::poison::once::Once::call_once_force => initialisation
std::sync::once_lock::OnceLock<T>::initialize => initialisation
initialize<u8> | /rustc/5980/library/std/src/sync/once_lock.rs:500 => initialisation
<std::sync::lazy_lock::LazyLock<T,F> as core::ops::deref::Deref>::deref => initialisation
std::sys::sync::once::futex::Once::call => initialisation
once_cell::imp::OnceCell<T>::initialize => initialisation
std::sync::mpsc::Receiver<T>::recv => tokio::sync::mpsc
<std::sync::mpsc::SyncSender<u8>>::send => tokio::sync::mpsc
std::sync::mpmc::list::Channel<T>::recv => tokio::sync::mpsc
crossbeam_channel::channel::Receiver<T>::recv => tokio::sync::mpsc
crossbeam::channel::Receiver<T>::recv => tokio::sync::mpsc
kanal::Receiver<T>::recv => tokio::sync::mpsc
flume::Receiver<T>::recv => recv_async
async_channel::Receiver<T>::recv_blocking => recv().await
<std::thread::join_handle::JoinHandle<T>>::join => join a thread
std::thread::JoinHandle<T>::join => join a thread
std::thread::scoped::ScopedJoinHandle<T>::join => join a thread
std::thread::scoped::scope => join a thread
join<()> | /rustc/5980/library/std/src/thread/mod.rs:1700 => join a thread
pthread_join => join a thread
<rayon::vec::IntoIter<T> as rayon::iter::ParallelIterator>::drive_unindexed => rayon::spawn
rayon_core::registry::Registry::in_worker_cold => rayon::spawn
std::thread::park => parked
std::thread::functions::park_timeout => parked
<std::thread::thread::Thread>::park => parked
parking_lot_core::parking_lot::park => parked
reqwest::blocking::client::Client::get => `reqwest::Client`
reqwest::blocking::wait::timeout => `reqwest::Client`
ureq::request::Request::call => async HTTP client
<ureq::agent::Agent>::run => async HTTP client
attohttpc::request::PreparedRequest::send => async HTTP client
minreq::request::Request::send => async HTTP client
curl::easy::handle::Easy::perform => async HTTP client
curl_easy_perform => async HTTP client
tungstenite::protocol::WebSocket<S>::read => tokio-tungstenite
<lettre::transport::smtp::SmtpTransport as lettre::transport::Transport>::send_raw => AsyncSmtpTransport
imap::client::Session<T>::fetch => async-imap
<native_tls::TlsStream<S> as std::io::Read>::read => tokio-native-tls
rustls::conn::ConnectionCommon<T>::complete_io => tokio-rustls
ssh2::channel::Channel::exec => russh
suppaftp::sync_ftp::ImplFtpStream<T>::connect => async client
openssl::ssl::SslStream<S>::ssl_read => async client
SSL_read => async client
rdkafka::producer::base_producer::BaseProducer<C>::flush => FutureProducer
rd_kafka_flush => FutureProducer
kafka::producer::Producer<P>::send => FutureProducer
rusqlite::statement::Statement::query_row => tokio-rusqlite
<rusqlite::Connection>::execute::<&str> => tokio-rusqlite
libsqlite3_sys::sqlite3_step => tokio-rusqlite
sqlite::statement::Statement::next => tokio-rusqlite
sqlite3_step => tokio-rusqlite
sqlite3VdbeExec | REGISTRY/libsqlite3-sys-0.35.0/sqlite3/sqlite3.c:95000 => tokio-rusqlite
diesel::pg::connection::PgConnection::establish => diesel-async
<diesel::sqlite::connection::SqliteConnection as diesel::connection::LoadConnection>::load => diesel-async
r2d2::Pool<M>::get => diesel-async
postgres::client::Client::query => tokio-postgres
PQexecParams => tokio-postgres
mysql::conn::Conn::new => mysql_async
mysql_real_query => mysql_async
mongodb::sync::coll::Collection<T>::find_one => mongodb::Client
redis::connection::connect => async API
redis::client::Client::get_connection => async API
redis::cmd::Cmd::query => async API
redis::cmd::Cmd::exec => async API
redis::commands::Commands::get => async API
redis::pipeline::Pipeline::query => async API
rocksdb::db::DBCommon<T,D>::get_opt => embedded databases
rocksdb_get => embedded databases
sled::tree::Tree::flush => embedded databases
redb::transactions::WriteTransaction::commit => embedded databases
heed::txn::RwTxn::commit => embedded databases
lmdb::transaction::RwTransaction::commit => embedded databases
mdb_txn_commit => embedded databases
duckdb::statement::Statement::query => embedded databases
fjall::keyspace::Keyspace::persist => embedded databases
git2::repo::Repository::open => git operations
gix::open::repository::open => git operations
git_clone => git operations
sysinfo::common::system::System::refresh_all => system information
procfs::process::all_processes => system information
tantivy::indexer::index_writer::IndexWriter<D>::commit => search and index
bcrypt::hash => password hashing
fsync => tokio::fs
__GI_fdatasync => tokio::fs
sync_file_range => tokio::fs
flock => file's lock
<std::fs::File>::lock => file's lock
<std::fs::File>::lock_shared => file's lock
fd_lock::rw_lock::RwLock<T>::write => file's lock
open64 => tokio::fs
pread64 => tokio::fs
pwrite64 => tokio::fs
__libc_connect => async equivalent
connect => tokio::net
accept => tokio::net
accept4 => tokio::net
recv => tokio::net
recvfrom => tokio::net
recvmsg => tokio::net
send => tokio::net
sendto => tokio::net
sendmsg => tokio::net
__GI___poll => AsyncFd
ppoll => AsyncFd
select => AsyncFd
epoll_wait => AsyncFd
";

const COMPUTED: &str = "
bcrypt::bcrypt::bcrypt => password hashing
bcrypt::hash_with_salt => password hashing
<argon2::Argon2>::hash_password_into => password hashing
argonautica::hasher::Hasher::hash => password hashing
scrypt::scrypt => password hashing
pbkdf2::pbkdf2_hmac => password hashing
pbkdf2_hmac<sha2::Sha256> | REGISTRY/pbkdf2-0.12.2/src/lib.rs:200 => password hashing
pwhash::sha512_crypt::hash => password hashing
<argon2::Argon2 as password_hash::traits::PasswordHasher>::hash_password => password hashing
password_hash::traits::PasswordVerifier::verify_password => password hashing
sha_crypt::sha512_simple => password hashing
djb_scrypt::scrypt => password hashing
blowfish::Blowfish<T>::bc_expand_key => password hashing
sodiumoxide::crypto::pwhash::argon2id13::pwhash => password hashing
crypto_pwhash_argon2id => password hashing
rsa::key::RsaPrivateKey::new => key operation
ring::rsa::keypair::KeyPair::sign => key operation
openssl::rsa::Rsa<T>::generate => key operation
openssl::pkey::PKey<T>::generate_ed25519 => key operation
rcgen::certificate::CertificateParams::self_signed => key operation
ssh_key::private::PrivateKey::random => key operation
RSA_generate_key_ex => key operation
EVP_PKEY_keygen => key operation
<sha1::Sha1Core as digest::core_api::UpdateCore>::update_blocks => hash large inputs
sha2::sha256::compress256 => hash large inputs
sha3::state::Sha3State::apply_f => hash large inputs
md5::compute => hash large inputs
md_5::compress::compress => hash large inputs
blake2::Blake2bVarCore::compress => hash large inputs
blake3::hash => hash large inputs
<D as digest::digest::Digest>::digest => hash large inputs
crc32fast::Hasher::update => hash large inputs
ring::digest::digest => hash large inputs
aes::autodetect::Aes256::encrypt_blocks => encrypt large inputs
<aes_gcm::AesGcm<A,N> as aead::AeadInPlace>::encrypt_in_place_detached => encrypt large inputs
chacha20::backends::avx2::inner => encrypt large inputs
chacha20poly1305::cipher::Cipher::encrypt_in_place_detached => encrypt large inputs
age::stream::StreamWriter<W>::write => encrypt large inputs
<flate2::gz::write::GzEncoder<W> as std::io::Write>::write => compress
<flate2::gz::write::GzEncoder<alloc::vec::Vec<u8>> as std::io::Write>::write_all => compress
write_all<flate2::gz::write::GzEncoder<alloc::vec::Vec<u8>>> | REGISTRY/flate2-1.1.2/src/gz/write.rs:100 => compress
miniz_oxide::deflate::core::compress => compress
zlib_rs::deflate::deflate => compress
libz_sys::deflate => compress
libdeflater::Compressor::zlib_compress => compress
zstd::stream::functions::encode_all => compress
zstd_safe::CCtx::compress2 => compress
brotli::enc::BrotliCompress => compress
bzip2::mem::Compress::compress => compress
xz2::stream::Stream::process => compress
lzma_rs::encode::dumbencoder::Encoder<W>::process => compress
lz4_flex::block::compress::compress => compress
lz4::encoder::Encoder<W>::finish => compress
snap::compress::Encoder::compress => compress
zip::write::ZipWriter<W>::finish => compress
tar::builder::Builder<W>::append_dir_all => compress
deflate_slow => compress
inflate_fast => compress
ZSTD_compressBlock_doubleFast => compress
BrotliEncoderCompressStream => compress
BrotliDecoderDecompressStream => compress
BZ2_compressBlock => compress
lzma_code => compress
LZ4_compress_fast_extState => compress
image::dynimage::DynamicImage::resize => image work
imageproc::filter::gaussian_blur_f32 => image work
png::encoder::Writer<W>::write_image_data => image work
jpeg_decoder::decoder::Decoder<R>::decode => image work
zune_jpeg::decoder::JpegDecoder<T>::decode => image work
webp::encoder::Encoder::encode => image work
ravif::av1encoder::Encoder::encode_rgba => image work
fast_image_resize::resizer::Resizer::resize => image work
resvg::render => image work
tiny_skia::pixmap::Pixmap::encode_png => image work
lopdf::reader::Reader::read => image work
printpdf::serialize::serialize_pdf => image work
regex::regex::string::Regex::new => pattern
regex_automata::meta::regex::Regex::search => pattern
search_half | REGISTRY/regex-automata-0.4.9/src/meta/regex.rs:900 => pattern
regex_syntax::parser::Parser::parse => pattern
fancy_regex::vm::run => pattern
aho_corasick::ahocorasick::AhoCorasick::find_iter => pattern
pcre2::bytes::Regex::is_match => pattern
onig::Regex::search_with_options => pattern
serde_json::de::from_slice => document
<serde_json::value::Value as serde_core::ser::Serialize>::serialize => document
to_vec<alloc::vec::Vec<serde_json::value::Value>> | REGISTRY/serde_json-1.0.140/src/ser.rs:2200 => document
serde_yaml::de::from_str => document
serde_yml::de::from_str => document
simd_json::to_owned_value => document
sonic_rs::serde::de::from_str => document
toml::de::from_str => document
toml_edit::parser::parse_document => document
bincode::features::serde::ser::encode_to_vec => document
postcard::ser::to_allocvec => document
ciborium::de::from_reader => document
rmp_serde::decode::from_slice => document
bson::de::from_slice => document
quick_xml::de::from_str => document
roxmltree::parse::parse => document
csv::reader::Reader<R>::read_record => document
prost::message::Message::encode => document
html5ever::driver::parse_document => document
scraper::html::Html::parse_document => document
calamine::auto::open_workbook_auto => document
tera::tera::Tera::render => templates once
handlebars::registry::Registry::render => templates once
minijinja::environment::Environment::render_str => templates once
askama::Template::render => templates once
liquid::template::Template::render => templates once
pulldown_cmark::html::push_html => templates once
comrak::markdown_to_html => templates once
syntect::html::highlighted_html_for_string => templates once
wasmtime::runtime::func::Func::call => guest code
wasmer::function::Function::call => guest code
mlua::function::Function::call => guest code
rhai::engine::Engine::eval => guest code
boa_engine::context::Context::eval => guest code
deno_core::runtime::jsruntime::JsRuntime::execute_script => guest code
pyo3::marker::Python::run => guest code
v8::script::Script::run => guest code
candle_core::tensor::Tensor::matmul => on threads of its own
ort::session::Session::run => on threads of its own
tch::wrappers::tensor::Tensor::matmul => on threads of its own
polars::prelude::LazyFrame::collect => on threads of its own
polars_core::frame::DataFrame::sort => on threads of its own
polars_lazy::frame::LazyFrame::collect => on threads of its own
nalgebra::linalg::svd::SVD<T,R,C>::new => on threads of its own
ndarray::linalg::impl_linalg::dot => on threads of its own
<std::backtrace::Backtrace as core::fmt::Display>::fmt => backtrace
backtrace::symbolize::gimli::resolve => backtrace
addr2line::Context<R>::find_frames => backtrace
gimli::read::line::LineRows<R,Program,Offset>::next_row => backtrace
alloc::slice::<impl [T]>::sort => sort large
alloc::slice::<impl [T]>::sort_by => sort large
sort_by<i32, app::load::{async_fn#0}::{closure_env#0}<i32>> | /rustc/5980/library/alloc/src/slice.rs:196 => sort large
alloc::slice::<impl [T]>::sort_by_key => sort large
alloc::slice::<impl [T]>::sort_by_cached_key => sort large
stable_sort<u8> | /rustc/5980/library/alloc/src/slice.rs:860 => sort large
core::slice::sort::unstable::quicksort::quicksort => sort large
core::slice::<impl [T]>::sort_unstable => sort large
core::slice::<impl [T]>::sort_unstable_by => sort large
core::slice::<impl [T]>::sort_unstable_by_key => sort large
core::slice::<impl [T]>::select_nth_unstable => sort large
std::fs::File::write_all => tokio::fs
sqlite3VdbeExec => tokio-rusqlite
";

fn cases(text: &str) -> impl Iterator<Item = (String, &str)> {
    const REGISTRY: &str = "/home/me/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f";
    text.trim().lines().map(|line| {
        let (called, advice) = line.split_once(" => ").expect("called => advice");
        let called = called.replace("REGISTRY", REGISTRY);
        let called = if called.contains(" | ") {
            called
        } else {
            format!("{called} |")
        };
        (called, advice)
    })
}

#[test]
fn every_dialect_of_a_name_finds_its_advice() {
    for (text, class) in [(BLOCKED, Class::Blocked), (COMPUTED, Class::Cpu)] {
        for (called, advice) in cases(text) {
            let help = help(&called, class);
            assert!(help.contains(advice), "{called}: {help}");
        }
    }
}

#[test]
fn every_entry_has_a_case() {
    let names: Vec<String> = [BLOCKED, COMPUTED]
        .into_iter()
        .flat_map(cases)
        .map(|(called, _)| frame_name(&parse(&called)[0]))
        .collect();
    for entry in TABLE {
        for call in entry.calls {
            let named = names.iter().any(|name| entry.call(name) == Some(call));
            assert!(named, "{call}");
        }
    }
}

#[test]
fn the_wrapper_decides_and_not_the_library_below_it() {
    let stack = parse(
        "sqlite3VdbeExec | /r/registry/src/i/libsqlite3-sys-0.35.0/sqlite3/sqlite3.c:9
sqlite3_step | /r/registry/src/i/libsqlite3-sys-0.35.0/sqlite3/sqlite3.c:8
diesel::sqlite::connection::stmt::StatementUse::step | /r/registry/src/i/diesel-2.2.0/src/sqlite/connection/stmt.rs:7
app::users | /home/me/app/src/main.rs:9
tokio::runtime::task::raw::poll |",
    );
    let help = help_for(&stack, Some(Class::Cpu)).expect("some help");
    assert!(help.contains("diesel-async"), "{help}");
}

#[test]
fn a_loop_is_told_to_yield_unless_its_calls_are_known() {
    let at = |called: &str| {
        let stack = parse(&format!(
            "{called} |\napp::work | /home/me/app/src/main.rs:5"
        ));
        help_at(&stack, Some(1), Some(Class::Cpu), true).expect("some help")
    };
    assert!(at("hashbrown::map::HashMap<K,V,S>::insert").contains("consume_budget"));
    assert!(at("serde_json::de::from_str").contains("document"));
}

#[test]
fn a_callback_is_not_told_to_yield() {
    let help = |callers: &str| {
        let stack = parse(&format!(
            "core::cmp::Ordering::then_with |\napp::rank::{{{{closure}}}} | /home/me/app/src/main.rs:5\n{callers} |\napp::work | /home/me/app/src/main.rs:9"
        ));
        help_at(&stack, Some(1), Some(Class::Cpu), true).expect("some help")
    };
    assert!(help("core::slice::sort::stable::driftsort_main").contains("sort large"));
    assert!(help("alloc::slice::to_vec_in").contains("rayon"));
    assert!(help("serde_json::de::from_str").contains("document"));
    assert!(!help("hashbrown::map::HashMap<K,V,S,A>::retain").contains("consume_budget"));
    assert!(help("some_orm::load::{{closure}}").contains("consume_budget"));
    // A future is polled, or an async function calls another: both may await.
    assert!(
        help("tokio::sync::once_cell::OnceCell::get_or_init::{{closure}}")
            .contains("consume_budget")
    );
    assert!(
        help("<futures_util::future::Map<F> as core::future::Future>::poll")
            .contains("consume_budget")
    );
}

#[test]
fn captured_stacks_find_their_advice() {
    for ((debug, release), advice) in [
        (fixture!("sleep"), "tokio::time::sleep"),
        (fixture!("join"), "join a thread"),
        (fixture!("mutex"), "tokio::sync::Mutex"),
        (fixture!("rwlock"), "tokio::sync::RwLock"),
        (fixture!("recv"), "tokio::sync::mpsc"),
        (fixture!("command-output"), "tokio::process"),
        (fixture!("command-status"), "tokio::process"),
        (fixture!("block-on"), "block_on"),
        (fixture!("tcp-read"), "tokio::net"),
        (fixture!("condvar"), "tokio::sync::Notify"),
        (fixture!("file-open"), "tokio::fs"),
    ] {
        for stack in [debug, release] {
            let help = help_for(&stack, Some(Class::Blocked)).expect("some help");
            assert!(help.contains(advice), "{help}\n{stack:#?}");
        }
    }
}

#[test]
fn the_call_that_the_user_wrote_decides() {
    let stack = parse(
        "std::thread::park |
futures_executor::local_pool::block_on |
app::facade | /home/me/app/src/main.rs:9
std::fs::read |
app::outer | /home/me/app/src/main.rs:12
tokio::runtime::task::raw::poll |",
    );
    let help = help_for(&stack, Some(Class::Blocked)).expect("some help");
    assert!(help.contains("`block_on` inside a task"), "{help}");
}

#[test]
fn unknown_calls_get_advice_by_class() {
    assert!(help("app_sys::wait", Class::Blocked).contains("async equivalent"));
    assert!(help("app_math::solve", Class::Cpu).contains("yield_now"));
    assert!(help("app_math::solve", Class::Mixed).contains("both computes and blocks"));
    assert!(help("serde_json::de::from_reader", Class::Blocked).contains("async equivalent"));
    assert_eq!(help_for(&[], None), None);
}

#[test]
fn descheduled_polls_have_nothing_to_fix() {
    assert!(help("std::thread::sleep", Class::Descheduled).contains("nothing to fix"));
}

#[test]
fn names_match_whole_segments() {
    assert!(advice("imagery::load", Some(Class::Cpu)).is_none());
    assert!(advice("std::fsx::read", None).is_none());
}
