{{/* What the operator does where it serves: exactly these requests. */}}
{{- define "webhook-operator.servedRules" -}}
- apiGroups: [lenra.io]
  resources: [webhookapps]
  verbs: [list, watch]
- apiGroups: [lenra.io]
  resources: [webhooks]
  verbs: [list, watch, create, delete]
- apiGroups: [lenra.io]
  resources: [webhookapps/status, webhooks/status]
  verbs: [patch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
# Not asked of the API server: replicas have each other tell what they have counted, and look up that they may.
- apiGroups: [lenra.io]
  resources: [webhooks/deliveries]
  verbs: [list]
- apiGroups: [""]
  resources: [services]
  verbs: [list, watch]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list, watch]
{{- if eq (include "webhook-operator.readsAllSecrets" .) "true" }}
# Each by the name that a webhook gives it; which names that will be is not known here.
- apiGroups: [""]
  resources: [secrets]
  verbs: [list, watch]
{{- end }}
{{- end -}}

{{/* Whether it may read every Secret where it serves: as `all` says, else where none is named. */}}
{{- define "webhook-operator.readsAllSecrets" -}}
{{- $all := .Values.rbac.secrets.all -}}
{{- ternary (empty .Values.rbac.secrets.named) (eq (toString $all) "true") (kindIs "invalid" $all) -}}
{{- end -}}

{{- define "webhook-operator.subjects" -}}
- kind: ServiceAccount
  name: {{ include "webhook-operator.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end -}}
