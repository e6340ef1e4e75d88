package main

import (
	"os"
	"syscall"

	"github.com/vishvananda/netns"
)

// What node-init inherits: the network namespace of the machine, and the lock,
// which it only holds.
const (
	hostNetworkFD = 3
	lockFD        = 4
)

// nodeInit is the first process of the namespaces. It adopts the processes whose
// parents have ended, such as the shims of containers, and waits for them; when
// the programs of the node end, it ends, and everything with it.
func nodeInit() error {
	syscall.CloseOnExec(hostNetworkFD)
	syscall.CloseOnExec(lockFD)
	files, err := nodeFlags()
	if err != nil {
		return err
	}
	if err := prepareNamespaces(files.dir); err != nil {
		return err
	}
	programs := self(append([]string{"node-programs"}, os.Args[1:]...)...)
	programs.Stdout, programs.Stderr = os.Stdout, os.Stderr
	if err := programs.Start(); err != nil {
		return err
	}
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		if err != nil && err != syscall.EINTR {
			return os.NewSyscallError("wait4", err)
		}
		if pid == programs.Process.Pid {
			os.Exit(status.ExitStatus())
		}
	}
}

func prepareNamespaces(dir string) error {
	if err := syscall.Sethostname([]byte(nodeName)); err != nil {
		return os.NewSyscallError("sethostname", err)
	}
	if err := mountOwnFiles(dir); err != nil {
		return err
	}
	if err := connectToHost(netns.NsHandle(hostNetworkFD)); err != nil {
		return err
	}
	return createCgroups()
}
