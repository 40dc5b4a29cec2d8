{{/*
Each takes (dict "root" $ "name" NAME "own" VALUES): NAME is a process, VALUES is its part of values.yaml.
*/}}

{{- define "waybill.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .name }}
{{- end }}

{{- define "waybill.labels" -}}
{{ include "waybill.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{/* Labels and annotations of a pod. It is made anew when its settings change. */}}
{{- define "waybill.podMetadata" -}}
labels:
  {{- include "waybill.labels" . | nindent 2 }}
  {{- with .root.Values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
annotations:
  checksum/settings: {{ toJson .root.Values.settings | sha256sum }}
  {{- with .root.Values.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{/* What all pods have in common. Without service links: they would set variables that look like settings. */}}
{{- define "waybill.pod" -}}
serviceAccountName: {{ .account | default .root.Release.Name }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .root.Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{/* What all containers have in common. */}}
{{- define "waybill.container" -}}
image: {{ .root.Values.image.repository }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
resources: {{- toYaml .own.resources | nindent 2 }}
{{- end }}

{{/* Variables by which a process finds Kafka and proves who it is. */}}
{{- define "waybill.kafkaEnv" -}}
- name: KAFKA_BOOTSTRAP_SERVERS
  value: {{ .root.Values.kafka.bootstrapServers | quote }}
- name: WAYBILL_KAFKA
  value: {{ merge (deepCopy .own.kafka.properties) .root.Values.kafka.properties | toJson | quote }}
- name: WAYBILL_KAFKA_FILES
  value: {{ toJson .root.Values.kafka.files | quote }}
{{- end }}

{{/* The folders of secrets, and /tmp. */}}
{{- define "waybill.mounts" -}}
- {name: tmp, mountPath: /tmp}
{{- if or .own.kafka.secret .root.Values.kafka.secret }}
- {name: {{ .kafkaVolume | default "kafka" }}, mountPath: /run/secrets/kafka, readOnly: true}
{{- end }}
{{- if .root.Values.kafka.caSecret }}
- {name: kafka-ca, mountPath: /run/secrets/kafka-ca, readOnly: true}
{{- end }}
{{- end }}

{{- define "waybill.volumes" -}}
- {name: tmp, emptyDir: {}}
{{- with .own.kafka.secret | default .root.Values.kafka.secret }}
- {name: kafka, secret: {secretName: {{ . }}, defaultMode: 0440}}
{{- end }}
{{- with .root.Values.kafka.caSecret }}
- {name: kafka-ca, secret: {secretName: {{ . }}, defaultMode: 0440}}
{{- end }}
{{- end }}

{{/* The keys of tokens, for workers and the tracer alone: whoever has them can name persons by trying. */}}
{{- define "waybill.keysEnv" -}}
{{- if .root.Values.keys.secret }}
- {name: WAYBILL_TOKEN_KEY_FILE, value: /run/secrets/keys/token}
- {name: WAYBILL_TOKEN_STATE_KEY_FILE, value: /run/secrets/keys/state}
{{- end }}
{{- end }}

{{- define "waybill.keysMount" -}}
{{- if .root.Values.keys.secret }}
- {name: keys, mountPath: /run/secrets/keys, readOnly: true}
{{- end }}
{{- end }}

{{/* The tracer, in a pod of its own, or with "door", a socket, beside the desk. */}}
{{- define "waybill.tracer" -}}
name: tracer
{{ include "waybill.container" . }}
args:
  - tracer
  - --metrics-port={{ .port | default 6066 }}
  {{- with .door }}
  - --door={{ . }}
  {{- end }}
ports: [{name: {{ .portName | default "web" }}, containerPort: {{ .port | default 6066 }}}]
envFrom:
  - configMapRef: {name: {{ .root.Release.Name }}-settings}
env:
  - {name: WAYBILL_WEB_HOST, value: 0.0.0.0}
  {{- include "waybill.kafkaEnv" . | nindent 2 }}
  {{- include "waybill.keysEnv" . | trim | nindent 2 }}
volumeMounts:
  {{- include "waybill.mounts" . | nindent 2 }}
  {{- include "waybill.keysMount" . | trim | nindent 2 }}
  {{- if .door }}
  - {name: door, mountPath: /run/door}
  {{- end }}
{{- end }}

{{- define "waybill.keysVolume" -}}
{{- with .root.Values.keys.secret }}
- {name: keys, secret: {secretName: {{ . }}, defaultMode: 0440}}
{{- end }}
{{- end }}
