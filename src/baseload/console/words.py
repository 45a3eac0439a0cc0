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
    "Use": "使用", "Dispatch": "调度", "Metering": "计量", "Books": "账务", "House": "管理", "Explorer": "调度探查",
    "Choose a time: each of its calls is priced anew.": "请选择时间：将对其中每次调用重新计价。",
    "Price books": "价格簿", "Reconciliation": "对账", "Settings": "设置", "Every offer has a price.": "所有报价均有价格。",
    "Changes": "变更", "From": "自", "To": "至", "Meter": "计量项", "After": "之后", "changed": "已变更", "coming": "将变更",
    "Effect on the last 30 days": "对最近 30 天的影响", "without its rules": "不含条件规则",
    "No price has changed.": "价格没有变更。", "Rates of a million tokens": "每百万令牌费率", "Used by": "使用者",
    "Rates": "费率", "Source": "来源", "rules": "条规则", "Statement": "账单", "Differences": "差异", "Approve": "批准",
    "Why": "原因", "The statement and the book agree.": "账单与账本一致。", "No statement yet.": "还没有账单。",
    "Import a statement": "导入账单", "Format": "格式", "Import": "导入",
    "Its text, as the vendor exports it": "供应商导出的原文", "Mapping of columns, for custom": "自定义格式的列映射",
    "Gap by day and cause": "按日期和原因的差额", "Month": "月份", "Draft": "草稿", "Issue": "开具", "Line": "条目",
    "Credit notes": "贷项通知单", "What would serve a request, and why. Nothing is called.": "请求会由谁处理以及原因，不会实际调用。",
    "Policy of this call, as JSON": "本次调用的策略（JSON）", "Explain": "解释", "Saved": "节省", "Not served": "无法处理",
    "What dispatch saved against each single offer": "相对每个单一报价的节省", "All of them at": "若全部使用",
    "would have cost": "将花费", "Health": "健康状况", "Configuration file": "配置文件", "applied": "已应用",
    "snapshot": "快照", "Apply": "应用", "The file is in force.": "文件已生效。", "Days": "天数", "New token": "新令牌",
    "Invoices: seller, taxes, series": "发票：卖方、税、编号系列", "Rates of exchange": "汇率", "Used": "使用时间",
    "Tokens of programs": "程序令牌", "of a member": "成员所属", "The last hour, minute by minute": "最近一小时（按分钟）",
    "Only its last part: there were more.": "仅显示最后一部分。", "Add a provider": "添加供应方", "Vendor": "供应商",
    "as the vendor": "与供应商相同", "Models": "模型", "those of its price list": "其价目表中的模型", "Add": "添加",
    "Add an offer": "添加报价", "What the provider calls it": "供应方的模型名称", "Add a budget": "添加预算",
    "the whole account": "整个账户", "warn only": "仅提醒", "How it pays": "付款方式", "Funding": "资金方式",
    "in advance": "预付", "up to a credit line": "信用额度内", "later, or its parent": "后付，或由上级支付",
    "Credit line": "信用额度", "End": "结束",
    "Sign in by": "登录方式：", "Planner": "规划", "Mean of an hour": "每小时平均", "Peak": "峰值", "Load factor": "负荷率",
    "Engines to own: name, money a year, tokens an hour, money a million": "自有引擎：名称、年费用、每小时令牌、每百万费用",
    "Prices to rent at: name, money a million": "租用价格：名称、每百万费用", "Supply": "供给", "Engines": "引擎",
    "Exceeded in a twentieth of the hours": "二十分之一的小时超过此值", "How full capacity for the peak would be.": "按峰值建设时的利用率。",
    "The cheapest mix, a year": "最便宜的组合（年）", "capacity, tokens an hour": "容量，令牌/小时", "Full": "利用率",
    "Pays from": "盈亏平衡", "Renting all": "全部租用", "Load by the hour": "每小时负荷", "The same, sorted": "排序后的负荷",
    "In closed form: no whole engines, no limits, flat prices. A bound that no finer plan is below.":
        "闭式解：不取整、无限额、价格不变，是任何更细方案的下界。",
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
