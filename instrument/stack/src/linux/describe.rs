//! What a system call works on: its file, its peer, its path, its time.
//!
//! Arguments are read as the kernel would, but through calls that cannot
//! block and through memory reads that cannot fault. What cannot be told is
//! left out.

#![expect(unsafe_code, reason = "asking a socket for its peer")]

use super::memory::Memory;
use crate::Syscall;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use std::{fs, mem};

/// As long as the kernel's `sockaddr_storage`.
const SOCKET_ADDRESS_BYTES: usize = 128;
/// What is shown of a path, not what a path may have.
const PATH_BYTES_MAX: usize = 256;

const UNNAMED: &str = "an unnamed local socket";

/// What `call` of a thread with this `memory` works on, for people.
pub(crate) fn object(call: &Syscall, memory: Memory) -> Option<String> {
    let [first, second, third, fourth, ..] = call.args;
    match call.number {
        libc::SYS_connect => {
            socket_address_at(second, third, memory).or_else(|| descriptor(first, memory))
        }
        libc::SYS_clock_nanosleep => sleep(call, memory),
        libc::SYS_nanosleep => duration(first, memory),
        libc::SYS_openat
        | libc::SYS_newfstatat
        | libc::SYS_statx
        | libc::SYS_unlinkat
        | libc::SYS_mkdirat
        | libc::SYS_readlinkat
        | libc::SYS_renameat2
        | libc::SYS_faccessat
        | libc::SYS_faccessat2 => path(second, memory),
        libc::SYS_execve | libc::SYS_truncate | libc::SYS_chdir | libc::SYS_statfs => {
            path(first, memory)
        }
        libc::SYS_wait4 => Some(child(first)),
        libc::SYS_mmap => read_when_mapped(fourth),
        libc::SYS_madvise => read_on_advice(third),
        libc::SYS_ppoll => polled(first, second, memory),
        number if takes_descriptor(number) => descriptor(first, memory),
        number => by_old_name(number, first, second, memory),
    }
}

/// The calls that exist on x86_64 only, next to their newer forms.
#[cfg(target_arch = "x86_64")]
fn by_old_name(number: i64, first: u64, second: u64, memory: Memory) -> Option<String> {
    match number {
        libc::SYS_poll => polled(first, second, memory),
        libc::SYS_open
        | libc::SYS_stat
        | libc::SYS_lstat
        | libc::SYS_access
        | libc::SYS_unlink
        | libc::SYS_mkdir
        | libc::SYS_rmdir
        | libc::SYS_rename
        | libc::SYS_readlink => path(first, memory),
        _ => None,
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn by_old_name(_: i64, _: u64, _: u64, _: Memory) -> Option<String> {
    None
}

fn takes_descriptor(number: i64) -> bool {
    matches!(
        number,
        libc::SYS_read
            | libc::SYS_write
            | libc::SYS_readv
            | libc::SYS_writev
            | libc::SYS_pread64
            | libc::SYS_pwrite64
            | libc::SYS_preadv
            | libc::SYS_pwritev
            | libc::SYS_preadv2
            | libc::SYS_pwritev2
            | libc::SYS_recvfrom
            | libc::SYS_recvmsg
            | libc::SYS_recvmmsg
            | libc::SYS_sendto
            | libc::SYS_sendmsg
            | libc::SYS_sendmmsg
            | libc::SYS_accept
            | libc::SYS_accept4
            | libc::SYS_shutdown
            | libc::SYS_fsync
            | libc::SYS_fdatasync
            | libc::SYS_syncfs
            | libc::SYS_ftruncate
            | libc::SYS_fallocate
            | libc::SYS_flock
            | libc::SYS_fcntl
            | libc::SYS_ioctl
            | libc::SYS_getdents64
            | libc::SYS_fstat
            | libc::SYS_close
            | libc::SYS_splice
            | libc::SYS_tee
            | libc::SYS_copy_file_range
            | libc::SYS_sendfile
            | libc::SYS_epoll_pwait
            | libc::SYS_sync_file_range
            | libc::SYS_readahead
    )
}

/// The file or the peer behind a descriptor: `"/var/x"`, `127.0.0.1:80`,
/// `pipe:[4711]`.
fn descriptor(number: u64, memory: Memory) -> Option<String> {
    // The kernel looks at the lower half of the register only.
    let number = number as u32 as i32;
    let target = fs::read_link(format!("/proc/{}/fd/{number}", memory.pid())).ok()?;
    let target = target.to_string_lossy();
    if let Some(inode) = target.strip_prefix("socket:") {
        let ends = match memory {
            Memory::Own => peer(number).or_else(|| Some(format!("bound to {}", own_name(number)?))),
            Memory::Of(pid) => listed(pid, inode.trim_matches(['[', ']'])),
        };
        return Some(ends.unwrap_or_else(|| target.into_owned()));
    }
    Some(match target.starts_with('/') {
        true => format!("{target:?}"),
        false => target.into_owned(),
    })
}

/// The peer of another process's socket, or where it is bound to, by what the kernel
/// lists in its network: address and port in hexadecimal, words in the processor's order.
fn listed(pid: u32, inode: &str) -> Option<String> {
    ["tcp", "tcp6", "udp", "udp6"].into_iter().find_map(|kind| {
        let table = fs::read_to_string(format!("/proc/{pid}/net/{kind}")).ok()?;
        let line = table
            .lines()
            .skip(1)
            .find(|line| line.split_whitespace().nth(9) == Some(inode))?;
        let mut words = line.split_whitespace();
        let (own, peer) = (
            listed_address(words.nth(1)?)?,
            listed_address(words.next()?)?,
        );
        Some(match peer.port() {
            0 => format!("bound to {own}"),
            _ => peer.to_string(),
        })
    })
}

fn listed_address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let words: Vec<u32> = (0..ip.len() / 8)
        .map(|word| u32::from_str_radix(ip.get(8 * word..8 * word + 8)?, 16).ok())
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let ip = match bytes.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?),
        16 => IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// Whom the socket is connected to.
fn peer(descriptor: i32) -> Option<String> {
    end_of(descriptor, libc::getpeername)
}

/// The address that a socket without a peer listens or waits at.
fn own_name(descriptor: i32) -> Option<String> {
    let name = end_of(descriptor, libc::getsockname)?;
    (!name.ends_with(":0") && name != UNNAMED).then_some(name)
}

type GetName = unsafe extern "C" fn(i32, *mut libc::sockaddr, *mut libc::socklen_t) -> libc::c_int;

fn end_of(descriptor: i32, get: GetName) -> Option<String> {
    let mut address = [0_u8; SOCKET_ADDRESS_BYTES];
    let mut length = SOCKET_ADDRESS_BYTES as libc::socklen_t;
    // SAFETY: both functions write at most `length` bytes to `address`, which has as
    // many, and the length itself; a descriptor that is no socket makes them fail.
    let failed = unsafe { get(descriptor, address.as_mut_ptr().cast(), &raw mut length) } != 0;
    if failed {
        return None;
    }
    socket_address(address.get(..length as usize)?)
}

/// What makes the kernel read what is mapped before it returns; none otherwise.
fn read_when_mapped(flags: u64) -> Option<String> {
    let name = match flags as libc::c_int {
        flags if flags & libc::MAP_POPULATE != 0 => "MAP_POPULATE",
        flags if flags & libc::MAP_LOCKED != 0 => "MAP_LOCKED",
        _ => return None,
    };
    Some(name.to_owned())
}

/// Advice on which the kernel reads what is mapped; none otherwise.
fn read_on_advice(advice: u64) -> Option<String> {
    let name = match advice as libc::c_int {
        libc::MADV_WILLNEED => "MADV_WILLNEED",
        libc::MADV_POPULATE_READ => "MADV_POPULATE_READ",
        libc::MADV_POPULATE_WRITE => "MADV_POPULATE_WRITE",
        _ => return None,
    };
    Some(name.to_owned())
}

/// The process that is waited for: `pid 4711, "sleep"`.
fn child(pid: u64) -> String {
    // The kernel looks at the lower half of the register only.
    match pid as u32 as i32 {
        pid @ 1.. => match fs::read_to_string(format!("/proc/{pid}/comm")) {
            Ok(name) => format!("pid {pid}, {:?}", name.trim_end()),
            Err(_) => format!("pid {pid}"),
        },
        _ => "any child".to_owned(),
    }
}

fn socket_address_at(address: u64, length: u64, memory: Memory) -> Option<String> {
    let mut bytes = [0; SOCKET_ADDRESS_BYTES];
    let length = usize::try_from(length).ok()?.min(SOCKET_ADDRESS_BYTES);
    let read = memory.read(address, &mut bytes[..length]);
    socket_address(&bytes[..read])
}

fn socket_address(bytes: &[u8]) -> Option<String> {
    let family = i32::from(u16::from_ne_bytes(bytes.first_chunk::<2>().copied()?));
    match family {
        libc::AF_INET => {
            let ip: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
            internet(Ipv4Addr::from(ip).into(), bytes)
        }
        libc::AF_INET6 => {
            let ip: [u8; 16] = bytes.get(8..24)?.try_into().ok()?;
            internet(Ipv6Addr::from(ip).into(), bytes)
        }
        libc::AF_UNIX => Some(local(bytes.get(2..)?)),
        _ => None,
    }
}

/// Both families have the port in the same place, in network order.
fn internet(ip: IpAddr, bytes: &[u8]) -> Option<String> {
    let port = u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?);
    Some(SocketAddr::new(ip, port).to_string())
}

/// A local socket's path; abstract ones begin with a zero, written `@`.
fn local(name: &[u8]) -> String {
    match name {
        [] => UNNAMED.to_owned(),
        [0, rest @ ..] => format!("{:?}", format!("@{}", String::from_utf8_lossy(rest))),
        _ => quoted(name),
    }
}

fn path(address: u64, memory: Memory) -> Option<String> {
    let mut bytes = [0; PATH_BYTES_MAX];
    let read = memory.read(address, &mut bytes);
    (read > 0).then(|| quoted(&bytes[..read]))
}

/// The text up to the first zero, in quotes.
fn quoted(bytes: &[u8]) -> String {
    let text = bytes.split(|&byte| byte == 0).next().unwrap_or(bytes);
    format!("{:?}", String::from_utf8_lossy(text))
}

/// `clock_nanosleep(clock, flags, time)`: the time is a length only without
/// flags.
fn sleep(call: &Syscall, memory: Memory) -> Option<String> {
    let [_, flags, time, ..] = call.args;
    match flags {
        0 => duration(time, memory),
        _ => None,
    }
}

fn duration(address: u64, memory: Memory) -> Option<String> {
    let seconds = memory.read_u64(address)?;
    let nanoseconds = u32::try_from(memory.read_u64(address.checked_add(8)?)?).ok()?;
    (nanoseconds < 1_000_000_000).then(|| format!("{:?}", Duration::new(seconds, nanoseconds)))
}

/// The first of the descriptors in a `pollfd` array, and how many more.
fn polled(array: u64, count: u64, memory: Memory) -> Option<String> {
    let mut first = [0; mem::size_of::<i32>()];
    if count == 0 || memory.read(array, &mut first) < first.len() {
        return None;
    }
    let mut text = descriptor(u64::from(u32::from_ne_bytes(first)), memory)?;
    if count > 1 {
        write!(text, " and {} more", count - 1).ok()?;
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::{Memory, listed_address, object, socket_address};
    use crate::Syscall;
    use std::ffi::CString;
    use std::fs::File;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    fn call(number: i64, args: &[u64]) -> Syscall {
        let mut all = [0; 6];
        all[..args.len()].copy_from_slice(args);
        Syscall {
            number,
            args: all,
            sp: 0,
            pc: 0,
        }
    }

    fn on(number: i64, file: &impl AsRawFd) -> Syscall {
        call(number, &[file.as_raw_fd() as u64])
    }

    #[test]
    fn a_file_is_named_by_its_path() {
        let file = File::open("/dev/null").expect("it is always there");
        let call = on(libc::SYS_fsync, &file);
        assert_eq!(call.describe(), "fsync(\"/dev/null\")");
    }

    #[test]
    fn a_connected_socket_is_named_by_its_peer() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        let address = listener.local_addr().expect("bound");
        let stream = TcpStream::connect(address).expect("connects");
        let call = on(libc::SYS_recvfrom, &stream);
        assert_eq!(call.describe(), format!("recvfrom({address})"));
    }

    #[test]
    fn a_socket_without_a_peer_is_named_by_where_it_listens() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        let address = listener.local_addr().expect("bound");
        let described = on(libc::SYS_accept4, &listener).describe();
        assert_eq!(described, format!("accept4(bound to {address})"));
    }

    #[test]
    fn a_child_is_named() {
        let me = u64::from(std::process::id());
        let described = call(libc::SYS_wait4, &[me]).describe();
        assert!(
            described.starts_with(&format!("wait4(pid {me}, ")),
            "{described}"
        );
        let any = call(libc::SYS_wait4, &[u64::from(u32::MAX)]).describe();
        assert_eq!(any, "wait4(any child)");
    }

    #[test]
    fn a_pair_of_local_sockets_has_no_name() {
        let (near, _far) = UnixStream::pair().expect("pairs");
        let described = on(libc::SYS_read, &near).describe();
        assert_eq!(described, "read(an unnamed local socket)");
    }

    #[test]
    fn addresses_of_each_family_are_read() {
        let mut v4 = vec![0; 16];
        v4[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
        v4[2..8].copy_from_slice(&[0x15, 0x38, 10, 0, 0, 1]);
        assert_eq!(socket_address(&v4).as_deref(), Some("10.0.0.1:5432"));
        let mut v6 = vec![0; 28];
        v6[..2].copy_from_slice(&(libc::AF_INET6 as u16).to_ne_bytes());
        v6[3] = 80;
        v6[23] = 1;
        assert_eq!(socket_address(&v6).as_deref(), Some("[::1]:80"));
        let mut unix = (libc::AF_UNIX as u16).to_ne_bytes().to_vec();
        unix.extend(b"/run/x.sock\0\0");
        assert_eq!(socket_address(&unix).as_deref(), Some("\"/run/x.sock\""));
        assert_eq!(socket_address(&[]), None);
        assert_eq!(socket_address(&v4[..6]), None);
    }

    #[test]
    fn a_path_argument_is_read_from_memory() {
        let path = CString::new("/etc/a \"b\"").expect("no zero inside");
        let call = call(libc::SYS_openat, &[0, path.as_ptr() as u64]);
        assert_eq!(call.describe(), r#"openat("/etc/a \"b\"")"#);
    }

    #[test]
    fn a_sleep_shows_its_length_unless_it_is_a_moment() {
        let time = [1_u64, 500_000_000];
        let address = time.as_ptr() as u64;
        let relative = call(libc::SYS_clock_nanosleep, &[1, 0, address]);
        assert_eq!(relative.describe(), "clock_nanosleep(1.5s)");
        let absolute = call(libc::SYS_clock_nanosleep, &[1, 1, address]);
        assert_eq!(absolute.describe(), "clock_nanosleep");
    }

    #[test]
    fn polled_descriptors_are_counted() {
        let file = File::open("/dev/null").expect("it is always there");
        let fds = [file.as_raw_fd() as u32, 0, file.as_raw_fd() as u32, 0];
        let call = call(libc::SYS_ppoll, &[fds.as_ptr() as u64, 2]);
        assert_eq!(call.describe(), "ppoll(\"/dev/null\" and 1 more)");
    }

    #[test]
    fn calls_on_memory_tell_whether_they_read_a_file() {
        let map = |flags: i32| call(libc::SYS_mmap, &[0, 9, 1, flags as u64]).describe();
        assert_eq!(map(libc::MAP_PRIVATE), "mmap");
        let flags = libc::MAP_PRIVATE | libc::MAP_POPULATE;
        assert_eq!(map(flags), "mmap(MAP_POPULATE)");
        assert_eq!(map(libc::MAP_LOCKED), "mmap(MAP_LOCKED)");
        let advise = |advice: i32| call(libc::SYS_madvise, &[0, 9, advice as u64]).describe();
        assert_eq!(advise(libc::MADV_DONTNEED), "madvise");
        assert_eq!(advise(libc::MADV_WILLNEED), "madvise(MADV_WILLNEED)");
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        assert_eq!(
            object(&call(libc::SYS_read, &[u64::MAX]), Memory::Own),
            None
        );
        assert_eq!(object(&call(libc::SYS_openat, &[0, 8]), Memory::Own), None);
        assert_eq!(
            object(&call(libc::SYS_nanosleep, &[u64::MAX - 4]), Memory::Own),
            None
        );
        assert_eq!(object(&call(libc::SYS_futex, &[0]), Memory::Own), None);
    }

    #[test]
    fn addresses_are_read_as_the_kernel_lists_them() {
        let read = |text| listed_address(text).map(|address| address.to_string());
        if cfg!(target_endian = "little") {
            assert_eq!(read("0100007F:1F90").as_deref(), Some("127.0.0.1:8080"));
            let v6 = "00000000000000000000000001000000:0050";
            assert_eq!(read(v6).as_deref(), Some("[::1]:80"));
        }
        assert_eq!(read("0100007F"), None);
        assert_eq!(read("nonsense:0050"), None);
    }
}
