//! What the demo leaves behind if nobody clears it up: a folder, and a server's process. It is cleared at the end of the story, after a
//! failure, and when somebody ends the demo by Ctrl-C or by a signal.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;

/// As a shell tells a program that was ended by Ctrl-C.
const INTERRUPTED: i32 = 130;
/// A device may write a file while its folder is removed.
const ATTEMPTS: u32 = 20;

/// The folder, and the server.
pub(super) struct Stage {
    folder: PathBuf,
    server: Mutex<Option<Child>>,
    /// Emulated boards; who plays them switches them off and on.
    boards: Mutex<Vec<Arc<Mutex<Child>>>>,
    /// After the story Ctrl-C is no failure.
    is_over: AtomicBool,
    /// A signal has come: its thread clears the stage and ends the program.
    is_interrupted: AtomicBool,
}

impl Stage {
    /// Makes the folder. From now on a signal clears the stage and ends the program.
    pub(super) fn set_up() -> anyhow::Result<Arc<Self>> {
        let folder = std::env::temp_dir().join(format!("buoy-demo-{}", std::process::id()));
        let stage = Arc::new(Self {
            folder,
            server: Mutex::new(None),
            boards: Mutex::default(),
            is_over: AtomicBool::new(false),
            is_interrupted: AtomicBool::new(false),
        });
        clear_at_signal(stage.clone())?;
        buoy_services::private_file::create_folder(&stage.folder)
            .with_context(|| format!("{} cannot be made", stage.folder.display()))?;
        Ok(stage)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The server is ended with the demo.
    pub(super) fn take_server(&self, server: Child) {
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = Some(server);
    }

    /// The board is switched off with the demo, however that ends.
    pub(super) fn watch_board(&self, board: Arc<Mutex<Child>>) {
        self.boards.lock().unwrap_or_else(PoisonError::into_inner).push(board);
    }

    pub(super) fn story_is_over(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// Comes back only if no signal has come. After one, whatever fails fails because the server is gone: that is no news, and the
    /// program ends as the signal says.
    pub(super) fn leave_to_signal(&self) {
        while self.is_interrupted.load(Ordering::Acquire) {
            std::thread::park();
        }
    }

    /// Ends the server and removes the folder.
    pub(super) fn clear(&self) {
        if let Some(mut server) = self.server.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // Whatever is gone already needs no end.
            let _ = server.kill();
            let _ = server.wait();
        }
        for board in self.boards.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let mut board = board.lock().unwrap_or_else(PoisonError::into_inner);
            // As above.
            let _ = board.kill();
            let _ = board.wait();
        }
        for _ in 0..ATTEMPTS {
            if fs::remove_dir_all(&self.folder).is_ok() || !self.folder.exists() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn clear_at_signal(stage: Arc<Stage>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // The first signal may come before the thread runs.
    let signal = {
        let _context = runtime.enter();
        crate::cli::signal::Stop::listen()?
    };
    std::thread::spawn(move || {
        runtime.block_on(signal.come());
        stage.is_interrupted.store(true, Ordering::Release);
        stage.clear();
        let code = if stage.is_over.load(Ordering::Relaxed) { 0 } else { INTERRUPTED };
        if code != 0 {
            eprintln!("\nbuoy: the demo was ended; its folder and its server are gone");
        }
        std::process::exit(code);
    });
    Ok(())
}
