package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"k8s.io/klog/v2"
)

// How long a graceful end may take before the process simply exits.
const grace = 5 * time.Second

// untilToldToEnd is done on SIGTERM or SIGINT, or when standard input ends. The
// last is what a crashed or killed test leaves behind: the process never
// outlives the one that started it.
func untilToldToEnd() context.Context {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	context.AfterFunc(ctx, func() {
		time.Sleep(grace)
		klog.ErrorS(nil, "Still not ended, exiting", "after", grace)
		os.Exit(1)
	})
	return ctx
}
