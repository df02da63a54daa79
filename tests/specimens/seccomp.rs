//! A sandbox forbids to send signals with a value, as some container profiles do:
//! stacks of computing polls cannot be taken, and that has to be said.
#![expect(unsafe_code, reason = "a seccomp filter is installed by prctl")]

use std::time::Duration;

fn forbid(syscall: libc::c_long) {
    let load = |offset| libc::sock_filter {
        code: (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16,
        jt: 0,
        jf: 0,
        k: offset,
    };
    let answer = |k| libc::sock_filter {
        code: (libc::BPF_RET | libc::BPF_K) as u16,
        jt: 0,
        jf: 0,
        k,
    };
    let mut filter = [
        load(0),
        libc::sock_filter {
            code: (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16,
            jt: 0,
            jf: 1,
            k: syscall as u32,
        },
        answer(libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
        answer(libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: the filter lives until the call returns; the kernel copies it.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        let mode = libc::SECCOMP_MODE_FILTER;
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, mode, &program), 0);
    }
}

fn main() {
    forbid(libc::SYS_rt_tgsigqueueinfo);
    serve();
}

#[asyncwatch::main(flavor = "multi_thread", worker_threads = 2)]
async fn serve() {
    // Longer than the tries to take a stack of the known slow poll.
    tokio::time::sleep(Duration::from_secs(4)).await;
}
