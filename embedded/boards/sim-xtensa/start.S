# Start, window vectors and calls to QEMU for the machine `sim` with windowed registers (Xtensa ISA, "Windowed Register Option").

# Where the processor starts.
    .section .reset,"ax",@progbits
    j 1f
    .p2align 2
.Lstart:
    .long _start
1:
    l32r a0, .Lstart
    jx a0

    .section .vectors,"ax",@progbits
    .global vectors
vectors:
# Overflow of 4, underflow of 4, and so on, at multiples of 64 bytes.
    s32e a0, a5, -16
    s32e a1, a5, -12
    s32e a2, a5, -8
    s32e a3, a5, -4
    rfwo
    .p2align 6
    l32e a0, a5, -16
    l32e a1, a5, -12
    l32e a2, a5, -8
    l32e a3, a5, -4
    rfwu
    .p2align 6
    s32e a0, a9, -16
    l32e a0, a1, -12
    s32e a1, a9, -12
    s32e a2, a9, -8
    s32e a3, a9, -4
    s32e a4, a0, -32
    s32e a5, a0, -28
    s32e a6, a0, -24
    s32e a7, a0, -20
    rfwo
    .p2align 6
    l32e a0, a9, -16
    l32e a1, a9, -12
    l32e a2, a9, -8
    l32e a7, a1, -12
    l32e a3, a9, -4
    l32e a4, a7, -32
    l32e a5, a7, -28
    l32e a6, a7, -24
    l32e a7, a7, -20
    rfwu
    .p2align 6
    s32e a0, a13, -16
    l32e a0, a1, -12
    s32e a1, a13, -12
    s32e a2, a13, -8
    s32e a3, a13, -4
    s32e a4, a0, -48
    s32e a5, a0, -44
    s32e a6, a0, -40
    s32e a7, a0, -36
    s32e a8, a0, -32
    s32e a9, a0, -28
    s32e a10, a0, -24
    s32e a11, a0, -20
    rfwo
    .p2align 6
    l32e a0, a13, -16
    l32e a1, a13, -12
    l32e a2, a13, -8
    l32e a11, a1, -12
    l32e a3, a13, -4
    l32e a4, a11, -48
    l32e a5, a11, -44
    l32e a6, a11, -40
    l32e a7, a11, -36
    l32e a8, a11, -32
    l32e a9, a11, -28
    l32e a10, a11, -24
    l32e a11, a11, -20
    rfwu

    .section .text.f00000.a,"ax",@progbits
    .p2align 2
.Lvectors:
    .long vectors
.Lstack:
    .long __stack
# PS: windows on, user mode, no interrupts.
.Lps:
    .long 0x4002F
.Lmain:
    .long buoy_main

    .section .text.f00000.b,"ax",@progbits
    .p2align 2
    .global _start
_start:
    movi a2, 0
    wsr a2, windowbase
    rsync
    movi a2, 1
    wsr a2, windowstart
    rsync
    l32r a2, .Lvectors
    wsr a2, vecbase
    l32r a1, .Lstack
    l32r a2, .Lps
    wsr a2, ps
    rsync
    movi a0, 0
    l32r a8, .Lmain
    callx8 a8

# sim_write(bytes, length): call 4 of QEMU, to descriptor 1.
    .p2align 2
    .global sim_write
sim_write:
    entry a1, 32
    or a5, a3, a3
    or a4, a2, a2
    movi a3, 1
    movi a2, 4
    .byte 0x00, 0x51, 0x00
    retw

# sim_exit(): call 1 of QEMU. Traps lead here too: the last line is missing then.
    .p2align 2
    .global sim_exit
    .global abort
sim_exit:
abort:
    entry a1, 32
    movi a3, 0
    movi a2, 1
    .byte 0x00, 0x51, 0x00
