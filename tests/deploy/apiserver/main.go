// Apiserver is Kubernetes' API server, with the store that it needs in the same process:
//
//	apiserver FOLDER PORT FLAGS…
//
// keeps its objects in FOLDER, by an etcd that listens at PORT on this machine; the flags are those of kube-apiserver.
package main

import (
	"fmt"
	"net/url"
	"os"

	"go.etcd.io/etcd/server/v3/embed"
	"k8s.io/component-base/cli"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "apiserver FOLDER PORT FLAGS…")
		os.Exit(2)
	}
	store, err := keep(os.Args[1], os.Args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	command := app.NewAPIServerCommand()
	command.SetArgs(append(os.Args[3:], "--etcd-servers=http://127.0.0.1:"+os.Args[2]))
	code := cli.Run(command)
	store.Close()
	os.Exit(code)
}

// keep starts an etcd of one node, and waits until it answers.
func keep(folder, port string) (*embed.Etcd, error) {
	config := embed.NewConfig()
	config.Dir = folder
	config.LogLevel = "error"
	clients := url.URL{Scheme: "http", Host: "127.0.0.1:" + port}
	peers := url.URL{Scheme: "http", Host: "127.0.0.1:0"} // there are none
	config.ListenClientUrls, config.AdvertiseClientUrls = []url.URL{clients}, []url.URL{clients}
	config.ListenPeerUrls = []url.URL{peers}
	store, err := embed.StartEtcd(config)
	if err != nil {
		return nil, err
	}
	<-store.Server.ReadyNotify()
	return store, nil
}
