//! Otadata is a copy for others. Whatever is in it, the confirmed image is started, or one that somebody has chosen is tried and given up.
