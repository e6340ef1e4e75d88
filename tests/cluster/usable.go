package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// awaitUsable waits until the next pod that is made can run and be reached, and
// names what it waits for in the log.
func awaitUsable(ctx context.Context, kubeconfig string, start time.Time) error {
	rest, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	rest.QPS = -1
	client, err := kubernetes.NewForConfig(rest)
	if err != nil {
		return err
	}
	conditions := []struct {
		name string
		met  func(context.Context, kubernetes.Interface) bool
	}{
		{"the node is ready", nodeReadySince(start)},
		{"pods have a service account", serviceAccountMade},
		{"names of Services are resolved", nameResolved},
		{"addresses of Services lead to their endpoints", serviceReached},
	}
	for _, condition := range conditions {
		fmt.Fprintln(os.Stderr, "waiting until", condition.name)
		err := wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(ctx context.Context) (bool, error) {
			return condition.met(ctx, client), nil
		})
		if err != nil {
			return fmt.Errorf("until %s: %w", condition.name, err)
		}
	}
	return nil
}

// nodeReadySince compares the time of the last heartbeat: a node that is started again finds the
// status of its previous run. `start` is a time before the kubelet was started. A later one could miss
// its first heartbeat, and the next one comes five minutes later.
func nodeReadySince(start time.Time) func(context.Context, kubernetes.Interface) bool {
	// Times in the API are whole seconds.
	start = start.Truncate(time.Second)
	return func(ctx context.Context, client kubernetes.Interface) bool {
		node, err := client.CoreV1().Nodes().Get(ctx, nodeName, metav1.GetOptions{})
		// As long as it has a taint, pods are not scheduled.
		if err != nil || len(node.Spec.Taints) != 0 {
			return false
		}
		return slices.ContainsFunc(node.Status.Conditions, func(condition corev1.NodeCondition) bool {
			return condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue &&
				!condition.LastHeartbeatTime.Time.Before(start)
		})
	}
}

func serviceAccountMade(ctx context.Context, client kubernetes.Interface) bool {
	_, err := client.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
	return err == nil
}

func nameResolved(ctx context.Context, _ kubernetes.Interface) bool {
	dialer := net.Dialer{Timeout: time.Second}
	resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, network, net.JoinHostPort(nodeIP, "53"))
	}}
	addresses, err := resolver.LookupHost(ctx, "kubernetes.default.svc."+clusterDomain+".")
	return err == nil && len(addresses) == 1 && addresses[0] == apiIP
}

func serviceReached(ctx context.Context, _ kubernetes.Interface) bool {
	dialer := net.Dialer{Timeout: time.Second}
	connection, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(apiIP, "443"))
	if err != nil {
		return false
	}
	return connection.Close() == nil
}
