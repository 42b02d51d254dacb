# The devices of libqemu-system-aarch64.
include ../sampan.mak

CONFIG_ARM_VIRT=y

CONFIG_TPM_TIS_SYSBUS=y
