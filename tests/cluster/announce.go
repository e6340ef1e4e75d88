package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// announce waits until the API server is ready, writes the administrator's
// kubeconfig and says so on standard output, which carries nothing else.
func announce(ctx context.Context, dir, server string, credentials credentials) error {
	config, err := adminKubeconfig(server, credentials)
	if err != nil {
		return err
	}
	if err := waitReady(ctx, config); err != nil {
		return err
	}
	if err := clientcmd.WriteToFile(*config, kubeconfigPath(dir)); err != nil {
		return err
	}
	_, err = fmt.Printf("ready %s\n", server)
	return err
}

func kubeconfigPath(dir string) string {
	return filepath.Join(dir, "kubeconfig")
}

func adminKubeconfig(server string, credentials credentials) (*clientcmdapi.Config, error) {
	authority, err := os.ReadFile(credentials.certificateAuthority())
	if err != nil {
		return nil, err
	}
	config := clientcmdapi.NewConfig()
	config.Clusters["test"] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: authority}
	config.AuthInfos["admin"] = &clientcmdapi.AuthInfo{Token: adminToken}
	config.Contexts["admin"] = &clientcmdapi.Context{Cluster: "test", AuthInfo: "admin"}
	config.CurrentContext = "admin"
	return config, nil
}

// waitReady asks as a user of the kubeconfig would. The first namespaces are
// made after /readyz answers ok, so it waits for them too.
func waitReady(ctx context.Context, config *clientcmdapi.Config) error {
	rest, err := clientcmd.NewDefaultClientConfig(*config, nil).ClientConfig()
	if err != nil {
		return err
	}
	rest.Timeout = 5 * time.Second
	rest.QPS = -1
	client, err := kubernetes.NewForConfig(rest)
	if err != nil {
		return err
	}
	return wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		if client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error() != nil {
			return false, nil
		}
		for _, name := range []string{metav1.NamespaceDefault, metav1.NamespaceSystem} {
			if _, err := client.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{}); err != nil {
				return false, nil
			}
		}
		return true, nil
	})
}
