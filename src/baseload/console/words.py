"""The words of the pages in Chinese. English is the key; a test finds what is missing here."""

from __future__ import annotations

from collections.abc import Callable

LANGUAGES = {"en": "English", "zh": "中文"}


def translator(code: str) -> Callable[[str], str]:
    table = CHINESE if code == "zh" else {}
    return lambda text: table.get(text, text)


CHINESE = {
    "Overview": "概览", "Scoreboard": "记分牌", "Merit order": "优先调度", "Usage": "用量", "Calls": "调用",
    "Accounts": "账户", "Providers": "供应方", "Ledger": "账本", "People": "人员", "Audit log": "审计日志",
    "Assistant": "助手", "You": "您", "Thoughts": "思考", "Before": "上一个", "Next": "下一个", "Edit": "修改",
    "Stopped": "已停止", "Retry": "重试", "Chats": "对话", "New chat": "新对话", "Search": "搜索",
    "No chats.": "没有对话。",
    "Chat": "对话", "Title": "标题", "Delete": "删除", "Message": "消息", "Add files": "添加文件",
    "Ask anything. Each answer shows what it cost.": "有问必答，每条回答都会显示费用。",
    "Older messages did not fit and were left out.": "较早的消息放不下，已省略。", "By the merit order": "按优先调度",
    "Cancel": "取消",
    "Playground": "试验场", "Prompt": "提示词", "System": "系统提示", "Send": "发送", "Stop": "停止",
    "Tokens at most": "令牌上限", "first token": "首个令牌", "in all": "共",
    "Code of your device": "设备上的验证码", "Codes of a device": "两步验证", "Turn on": "开启", "Turn off": "关闭",
    "On: a code is needed to sign in.": "已开启：登录时需要验证码。",
    "The one you have": "当前密码", "The new one": "新密码",
    "Add this secret to an authenticator, then type the code it shows.": "将此密钥添加到验证器，然后输入显示的验证码。",
    "Recovery codes: each is good once. Keep them now, they are not shown again.":
        "恢复码：每个仅可用一次，请立即保存。",
    "Sign in": "登录", "Sign out": "退出", "Name": "名称", "Password": "密码", "Choose a password": "设置密码",
    "Your name": "您的名字", "Language": "语言", "Theme": "主题", "Menu": "菜单", "Skip to content": "跳到正文",
    "Calls today": "今日调用", "Tokens today": "今日令牌", "Cost today": "今日成本", "Revenue today": "今日收入",
    "Margin today": "今日毛利", "Needs attention": "需要关注", "Nothing needs attention.": "没有需要关注的事项。",
    "Load of the last 24 hours by provider": "最近 24 小时各供应方的负荷", "tokens": "令牌", "price": "价格",
    "Table": "表格", "Export CSV": "导出 CSV", "State": "状态", "Account": "账户", "Model": "模型", "Offer": "报价",
    "Provider": "供应方", "Key": "密钥", "Outcome": "结果", "Cost": "成本", "Charge": "收费",
    "Margin": "毛利", "Input": "输入", "Cached": "缓存", "Output": "输出", "Reasoning": "推理",
    "Since": "开始", "Until": "结束", "By": "按", "Show": "显示", "All accounts": "全部账户", "all": "全部",
    "Spend over time": "支出随时间变化", "No calls in this time.": "这段时间没有调用。", "Call": "调用", "When": "时间",
    "Older": "更早", "Where the time went": "时间去向", "Reading": "读数", "Why this offer": "为何选择此报价",
    "Postings": "记账分录", "Rank": "排序", "Expected": "预期", "Why not": "未选原因",
    "Provenance": "来源", "Raw usage": "原始用量", "Supply of": "供给：",
    "capacity, tokens a minute": "容量，令牌/分钟",
    "price of a million tokens": "每百万令牌价格", "load": "负荷", "not declared": "未声明",
    "New account": "新账户", "Create": "创建", "Parent": "上级", "Currency": "货币", "Tariff": "资费", "Keys": "密钥数",
    "New key": "新密钥", "Revoke": "吊销", "Funds": "资金", "Spent": "已用", "Held": "冻结", "Available": "可用",
    "At gateways": "在网关", "Top up": "充值", "Amount": "金额", "Budget": "预算", "Budgets and balance": "预算与余额",
    "Copy it now: it is not shown again.": "请立即复制：之后不再显示。", "Copy": "复制", "Test": "测试",
    "Credential": "凭证", "Address": "地址", "Offers": "报价", "Role": "角色", "Add a person": "添加人员",
    "Link, good once, for a day": "一次性链接，一天有效", "New link": "新链接", "Actor": "操作者", "Action": "操作",
    "Subject": "对象", "Detail": "详情", "Disabled": "已停用", "no": "否", "Prefix": "前缀",
    "Expires": "到期", "Revoked": "已吊销", "Payments": "付款", "Check the books": "核对账本",
    "The books are sound.": "账目无误。", "Check": "检查", "Invoices": "发票", "Number": "编号",
    "Total": "总计", "Period": "期间", "AI revenue": "AI 收入", "Cloud revenue": "云收入",
    "Resold revenue": "转售收入", "Gross margin": "毛利率",
    "Capital": "资本", "Capital spent": "资本支出", "Capital by quarter": "各季度资本", "Planned": "计划",
    "Quarter": "季度", "Kind": "类别", "Project": "项目", "Note": "备注", "Post": "记账", "Transaction": "交易",
    "App users": "应用用户", "today": "今日", "this quarter": "本季度",
    "growth on the quarter before": "环比增长", "growth on the year before": "同比增长",
    "target": "目标", "Set a target": "设定目标", "as of": "截至", "Revenue by quarter": "各季度收入", "Save": "保存",
    "The plan that gave the idea": "启发本项目的计划", "Figure": "数字", "from here": "差距",
    "valid": "有效", "Something went wrong": "出错了", "Back": "返回", "not measured yet": "尚未计量",

}  # fmt: skip
