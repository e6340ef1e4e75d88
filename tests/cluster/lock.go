package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/util/wait"
)

// lockName is a socket without a file: it goes with the last process that has it.
const lockName = "@webhook-cluster-node"

// lockMachine waits until no other node runs on this machine: addresses, the
// link and the control groups have fixed names. The lock is held as long as the
// file is open, in this process or in one that inherited it.
func lockMachine(ctx context.Context) (*os.File, error) {
	said := false
	var lock *os.File
	err := wait.PollUntilContextCancel(ctx, 100*time.Millisecond, true, func(context.Context) (bool, error) {
		listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: lockName})
		if errors.Is(err, unix.EADDRINUSE) {
			if !said {
				fmt.Fprintln(os.Stderr, "another node runs on this machine: waiting for its end")
			}
			said = true
			return false, nil
		}
		if err != nil {
			return false, err
		}
		defer listener.Close()
		lock, err = listener.File()
		return true, err
	})
	return lock, err
}
