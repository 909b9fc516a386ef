//! Event files: what a program polls to learn that something happened on a TSG.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use ioctl_defs::nvgpu::channel::{
    NVGPU_IOCTL_CHANNEL_EVENT_ID_CMD_ENABLE, NVGPU_IOCTL_CHANNEL_EVENT_ID_MAX,
    nvgpu_event_id_ctrl_args,
};
use nix::errno::Errno;

use super::caller::{Answer, Handoff, Watch};
use super::{Call, File, Nodes};

/// One event that one descriptor waits for.
///
/// The real file turns readable when the event is posted and unreadable when poll has said so. Nothing
/// but the driver can do the latter; here the program finds a byte to read instead, so a program for both
/// reads (without blocking, and without minding EINVAL) what poll announced.
#[derive(Debug)]
pub(super) struct EventFile {
    pub tsg: u32,
    pub id: u32,
    stream: UnixStream,
}

impl EventFile {
    /// Whether the program has closed its end, which the supervisor may not have noticed yet.
    pub fn is_closed(&self) -> bool {
        matches!((&self.stream).read(&mut [0]), Ok(0))
    }

    /// Makes the program's end readable.
    pub fn post(&self) {
        // A full socket is readable already; a closed one will be forgotten in a moment.
        let _ = (&self.stream).write(&[1]);
    }
}

impl Nodes {
    pub(super) fn event_id_ctrl(
        &mut self,
        call: &mut Call<'_>,
        tsg: u32,
        args: &mut nvgpu_event_id_ctrl_args,
    ) -> Answer {
        if args.event_id >= NVGPU_IOCTL_CHANNEL_EVENT_ID_MAX
            || args.cmd != NVGPU_IOCTL_CHANNEL_EVENT_ID_CMD_ENABLE
        {
            return Err(Errno::EINVAL.into());
        }
        // A TSG has one file for each event at a time.
        if self.tsgs.has_listener(tsg, args.event_id) {
            return Err(Errno::EINVAL.into());
        }
        let (theirs, ours) = UnixStream::pair().map_err(|_| Errno::ENFILE)?;
        theirs.set_nonblocking(true).map_err(|_| Errno::ENFILE)?;
        ours.set_nonblocking(true).map_err(|_| Errno::ENFILE)?;
        let peer = ours.try_clone().map_err(|_| Errno::ENFILE)?;
        let event = Arc::new(EventFile { tsg, id: args.event_id, stream: ours });
        let file = self.new_file();
        self.files.insert(file, File::Event(Arc::clone(&event)));
        self.tsgs.listen(event);
        let watch = Watch::Peer(OwnedFd::from(peer));
        args.event_fd = self.install(call, Handoff { file, fd: OwnedFd::from(theirs), watch })?;
        Ok(0)
    }
}
